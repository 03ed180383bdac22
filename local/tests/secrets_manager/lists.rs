use aws_sdk_secretsmanager::{
    operation::list_secrets::ListSecretsOutput,
    types::{Filter, FilterNameStringType as Key, SortOrderType, Tag},
};

use super::{World, refused, serve_without_function};

fn filter(key: Key, values: &[&str]) -> Filter {
    Filter::builder()
        .key(key)
        .set_values(Some(values.iter().map(|value| value.to_string()).collect()))
        .build()
}

async fn world() -> World {
    let world = serve_without_function().await;
    for (name, description, tag) in [
        ("demo/orders", "Orders of the shop", "blue"),
        ("demo/users", "users", "green"),
        ("Other", "orders too", "blue"),
    ] {
        let create = world.client.create_secret().name(name);
        let create = create.description(description).secret_string(name);
        create.tags(team(tag)).send().await.unwrap();
    }
    world
}

fn team(name: &str) -> Tag {
    Tag::builder().key("Team").value(name).build()
}

fn names(list: ListSecretsOutput) -> Vec<String> {
    let names = list.secret_list().iter().map(|entry| entry.name().unwrap());
    names.map(str::to_owned).collect()
}

#[tokio::test]
async fn filters_match_prefixes_or_beginnings_of_words_and_an_exclamation_mark_negates() {
    let world = world().await;
    for (filters, expected) in [
        (vec![], vec!["demo/orders", "demo/users", "Other"]),
        (
            vec![filter(Key::Name, &["demo/"])],
            vec!["demo/orders", "demo/users"],
        ),
        (vec![filter(Key::Name, &["other"])], vec![]),
        (vec![filter(Key::Name, &["!demo/"])], vec!["Other"]),
        (
            vec![filter(Key::Name, &["demo/", "!demo/users"])],
            vec!["demo/orders"],
        ),
        (
            vec![filter(Key::Description, &["ORDERS"])],
            vec!["demo/orders", "Other"],
        ),
        (
            vec![filter(Key::TagKey, &["Te"])],
            vec!["demo/orders", "demo/users", "Other"],
        ),
        (
            vec![filter(Key::TagValue, &["gre", "red"])],
            vec!["demo/users"],
        ),
        (
            vec![
                filter(Key::TagValue, &["blue"]),
                filter(Key::Name, &["demo"]),
            ],
            vec!["demo/orders"],
        ),
        (vec![filter(Key::All, &["blue SHOP"])], vec!["demo/orders"]),
        (
            vec![filter(Key::Description, &["sho of"])],
            vec!["demo/orders"],
        ),
        (vec![filter(Key::All, &["rders"])], vec![]),
        (vec![filter(Key::All, &["user"])], vec!["demo/users"]),
    ] {
        let list = world.client.list_secrets();
        let list = list.set_filters(Some(filters.clone())).send().await;
        assert_eq!(names(list.unwrap()), expected, "{filters:?}");
    }
}

#[tokio::test]
async fn a_list_is_returned_page_by_page_in_the_requested_order() {
    let world = world().await;
    let pages = world
        .client
        .list_secrets()
        .max_results(2)
        .sort_order(SortOrderType::Desc);
    let mut pages = pages.into_paginator().send();
    let mut seen = Vec::new();
    while let Some(page) = pages.next().await {
        seen.push(names(page.unwrap()));
    }
    assert_eq!(seen, [vec!["Other", "demo/users"], vec!["demo/orders"]]);
    let invalid = world.client.list_secrets().next_token("not one of ours");
    let (code, _) = refused(invalid.send().await);
    assert_eq!(code, "InvalidNextTokenException");
}

#[tokio::test]
async fn versions_without_a_label_are_listed_on_demand() {
    let world = serve_without_function().await;
    world.create("demo", "one").await;
    for value in ["two", "three", "four"] {
        world.put(value).send().await.unwrap();
    }
    let list = || world.client.list_secret_version_ids().secret_id("demo");
    assert_eq!(list().send().await.unwrap().versions().len(), 2);
    let all = || list().include_deprecated(true).max_results(3);
    let page = all().send().await.unwrap();
    assert_eq!(page.versions().len(), 3);
    assert!(page.versions()[0].version_stages().is_empty());
    let rest = all().next_token(page.next_token().unwrap());
    let rest = rest.send().await.unwrap();
    assert_eq!(rest.versions()[0].version_stages(), ["AWSCURRENT"]);
    assert_eq!(rest.next_token(), None);
}

#[tokio::test]
async fn a_batch_reads_at_most_twenty_secrets_and_reports_each_error_separately() {
    let world = world().await;
    let batch = || world.client.batch_get_secret_value();
    let read = batch().secret_id_list("demo/orders");
    let read = read.secret_id_list("nobody").send().await.unwrap();
    assert_eq!(read.secret_values()[0].secret_string(), Some("demo/orders"));
    assert_eq!(read.errors()[0].secret_id(), Some("nobody"));
    let code = read.errors()[0].error_code();
    assert_eq!(code, Some("ResourceNotFoundException"));

    let too_many = vec!["demo/orders".to_owned(); 21];
    let read = batch().set_secret_id_list(Some(too_many)).send().await;
    assert_eq!(refused(read).0, "ValidationException");

    let pages = batch().filters(filter(Key::Name, &["demo"])).max_results(1);
    let first = pages.clone().send().await.unwrap();
    let second = pages.next_token(first.next_token().unwrap());
    let second = second.send().await.unwrap();
    assert_eq!(second.secret_values()[0].name(), Some("demo/users"));
    assert_eq!(second.next_token(), None);
}

#[tokio::test]
async fn tags_can_be_added_and_removed() {
    let world = world().await;
    let tag = world.client.tag_resource().secret_id("Other");
    tag.tags(team("red")).send().await.unwrap();
    assert_eq!(world.describe("Other").await.tags(), [team("red")]);
    let untag = world.client.untag_resource().secret_id("Other");
    untag.tag_keys("Team").send().await.unwrap();
    assert_eq!(world.describe("Other").await.tags, Some(Vec::new()));
}

#[tokio::test]
async fn a_random_password_has_the_requested_length() {
    let world = serve_without_function().await;
    let draw = world.client.get_random_password().password_length(64);
    let drawn = draw.exclude_punctuation(true).send().await.unwrap();
    let password = drawn.random_password().unwrap();
    assert_eq!(password.len(), 64);
    assert!(password.bytes().all(|byte| byte.is_ascii_alphanumeric()));
}
