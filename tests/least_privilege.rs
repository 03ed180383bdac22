//! The SAM template's roles, each tried in the local world.
mod template;

#[test]
fn every_statement_of_the_functions_role_has_a_name() {
    let resources = template::Template::sam(&[("SecretArns", "arn")]).resources();
    let policies = &resources["FunctionRole"]["Properties"]["Policies"];
    let statements = policies[0]["PolicyDocument"]["Statement"].as_array();
    assert!(
        statements
            .unwrap()
            .iter()
            .all(|statement| statement["Sid"].is_string())
    );
}
