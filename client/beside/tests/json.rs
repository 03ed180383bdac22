//! The application's own JSON. Features of serde_json are on for a whole build: `arbitrary_precision` breaks numbers in
//! untagged enums and flattened structs, and `preserve_order` changes the order of keys.

#![cfg(test)]

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Debug, Deserialize, PartialEq)]
#[serde(untagged)]
enum Limit {
    Whole(u32),
    Part(f64),
}

#[derive(Debug, Deserialize, PartialEq)]
struct Article {
    name: String,
    #[serde(flatten)]
    prices: BTreeMap<String, f64>,
}

#[test]
fn numbers_in_an_untagged_enum_are_read() {
    let limits: Vec<Limit> = serde_json::from_value(json!([3, 0.5])).unwrap();
    assert_eq!(limits, [Limit::Whole(3), Limit::Part(0.5)]);
    let limits: Vec<Limit> = serde_json::from_str("[3, 0.5]").unwrap();
    assert_eq!(limits, [Limit::Whole(3), Limit::Part(0.5)]);
}

#[test]
fn numbers_in_a_flattened_struct_are_read() {
    let article: Article = serde_json::from_str(r#"{"name":"tea","eur":2.5,"usd":3}"#).unwrap();
    let prices = [("eur".to_owned(), 2.5), ("usd".to_owned(), 3.0)];
    assert_eq!(article.prices, BTreeMap::from(prices));
    assert_eq!(article.name, "tea");
}

#[test]
fn numbers_and_keys_are_kept_as_serde_json_keeps_them_by_default() {
    let value: Value = serde_json::from_str(r#"{"b":1.10,"a":1}"#).unwrap();
    assert_eq!(value.to_string(), r#"{"a":1,"b":1.1}"#);
}
