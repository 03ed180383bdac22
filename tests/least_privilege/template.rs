//! The templates of infra/sam as CloudFormation would read it: intrinsic functions resolved, conditions applied.
//!
//! An attribute that a resource has only after its deployment, such as its ARN, becomes `Name.Attribute`. An unknown function fails
//! the test.

use std::collections::BTreeMap;

use saphyr::{LoadableYamlNode, Scalar, Tag, Yaml};
use serde_json::{Map, Value, json};

/// A template with parameters.
pub(crate) struct Template {
    document: Value,
    /// Parameters, pseudo parameters, and what Fn::ForEach binds.
    values: BTreeMap<String, Value>,
}

impl Template {
    /// The project's template, with these parameters and the defaults, in the local world's region and account.
    pub(crate) fn sam(parameters: &[(&str, &str)]) -> Self {
        Self::file("template.yaml", parameters)
    }

    /// The template that makes a secret.
    pub(crate) fn secret(parameters: &[(&str, &str)]) -> Self {
        Self::file("secret.yaml", parameters)
    }

    fn file(name: &str, parameters: &[(&str, &str)]) -> Self {
        let path = format!("{}/infra/sam/{name}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        Self::read(&text, parameters)
    }

    fn read(text: &str, parameters: &[(&str, &str)]) -> Self {
        let document = json(&Yaml::load_from_str(text).unwrap()[0]);
        let mut values: BTreeMap<String, Value> = [
            ("AWS::AccountId", "123456789012"),
            ("AWS::Partition", "aws"),
            ("AWS::Region", "us-east-1"),
            ("AWS::StackName", "secret-rotation"),
            ("AWS::URLSuffix", "amazonaws.com"),
        ]
        .map(|(name, value)| (name.to_owned(), value.into()))
        .into();
        let declared = document["Parameters"].as_object().unwrap();
        for (name, _) in parameters {
            assert!(
                declared.contains_key(*name),
                "the template has no parameter {name}"
            );
        }
        for (name, declared) in declared {
            let given = parameters.iter().find(|(given, _)| given == name);
            let value = match given {
                Some((_, value)) => (*value).to_owned(),
                None => text_of(&declared["Default"]),
            };
            let list = declared["Type"] == "CommaDelimitedList";
            let value = if list {
                value.split(',').collect()
            } else {
                value.into()
            };
            values.insert(name.clone(), value);
        }
        Self { document, values }
    }

    /// Every resource whose condition holds, by its logical id.
    pub(crate) fn resources(&self) -> BTreeMap<String, Value> {
        let resources = self.document["Resources"].as_object().unwrap();
        let Some(Value::Object(resources)) = self.object(resources) else {
            panic!("Resources is no object")
        };
        resources.into_iter().collect()
    }

    /// `None` is AWS::NoValue.
    fn resolve(&self, value: &Value) -> Option<Value> {
        match value {
            Value::Object(object) => self.object(object),
            Value::Array(items) => {
                Some(items.iter().filter_map(|item| self.resolve(item)).collect())
            }
            plain => Some(plain.clone()),
        }
    }

    fn object(&self, object: &Map<String, Value>) -> Option<Value> {
        if let (1, Some((name, argument))) = (object.len(), object.iter().next())
            && (name == "Ref" || name.starts_with("Fn::") && !name.starts_with("Fn::ForEach"))
        {
            return self.function(name, argument);
        }
        let mut resolved = Map::new();
        for (key, value) in object {
            if let Some(("Fn", "ForEach")) =
                key.rsplit_once("::").and_then(|(f, _)| f.split_once("::"))
            {
                resolved.extend(self.for_each(value));
                continue;
            }
            let unmet = |name: &str| !self.condition(&json!({ "Condition": name }));
            // a resource's; in a policy, Condition is an object
            if value.get("Type").is_some() && value["Condition"].as_str().is_some_and(unmet) {
                continue;
            }
            if let Some(value) = self.resolve(value) {
                resolved.insert(key.clone(), value);
            }
        }
        Some(resolved.into())
    }

    /// `[identifier, collection, {name: body}]`; `&{identifier}` in a name is the value without characters that a name may not have.
    fn for_each(&self, argument: &Value) -> Map<String, Value> {
        let (identifier, body) = (
            argument[0].as_str().unwrap(),
            argument[2].as_object().unwrap(),
        );
        let mut made = Map::new();
        for value in self.resolve(&argument[1]).unwrap().as_array().unwrap() {
            let mut values = self.values.clone();
            values.insert(identifier.to_owned(), value.clone());
            let inner = Self {
                document: self.document.clone(),
                values,
            };
            let Some(Value::Object(resolved)) = inner.object(body) else {
                panic!("{body:?}")
            };
            let text = text_of(value);
            let name: String = text.chars().filter(char::is_ascii_alphanumeric).collect();
            made.extend(resolved.into_iter().map(|(key, value)| {
                let key = key.replace(&format!("&{{{identifier}}}"), &name);
                (key.replace(&format!("${{{identifier}}}"), &text), value)
            }));
        }
        made
    }

    fn function(&self, name: &str, argument: &Value) -> Option<Value> {
        Some(match name {
            "Ref" if argument == "AWS::NoValue" => return None,
            "Ref" => self.reference(argument.as_str().unwrap()),
            "Fn::GetAtt" => match argument {
                Value::Array(parts) => parts
                    .iter()
                    .map(text_of)
                    .collect::<Vec<_>>()
                    .join(".")
                    .into(),
                text => text.clone(),
            },
            "Fn::Sub" => self.substitute(argument).into(),
            "Fn::If" => {
                let holds = self.condition(&json!({ "Condition": argument[0] }));
                return self.resolve(&argument[if holds { 1 } else { 2 }]);
            }
            "Fn::Join" => {
                let parts = self.resolve(&argument[1])?;
                let parts: Vec<String> = parts.as_array().unwrap().iter().map(text_of).collect();
                parts.join(argument[0].as_str().unwrap()).into()
            }
            "Fn::Select" => {
                let items = self.resolve(&argument[1])?;
                items[text_of(&argument[0]).parse::<usize>().unwrap()].clone()
            }
            "Fn::Split" => {
                let text = text_of(&self.resolve(&argument[1])?);
                text.split(argument[0].as_str().unwrap()).collect()
            }
            "Fn::Equals" | "Fn::Not" | "Fn::And" | "Fn::Or" => {
                self.condition(&json!({ name: argument })).into()
            }
            other => panic!("teach tests/least_privilege/template.rs the function {other}"),
        })
    }

    fn reference(&self, name: &str) -> Value {
        self.values
            .get(name)
            .cloned()
            .unwrap_or_else(|| name.into())
    }

    fn condition(&self, condition: &Value) -> bool {
        let (name, argument) = condition.as_object().unwrap().iter().next().unwrap();
        let mut each = argument.as_array().into_iter().flatten();
        match name.as_str() {
            "Condition" => {
                let condition = &self.document["Conditions"][argument.as_str().unwrap()];
                assert!(
                    condition.is_object(),
                    "the template has no condition {argument}"
                );
                self.condition(condition)
            }
            "Fn::Equals" => {
                let side = |index: usize| text_of(&self.resolve(&argument[index]).unwrap());
                side(0) == side(1)
            }
            "Fn::Not" => !self.condition(&argument[0]),
            "Fn::And" => each.all(|condition| self.condition(condition)),
            "Fn::Or" => each.any(|condition| self.condition(condition)),
            other => panic!("teach tests/least_privilege/template.rs the condition {other}"),
        }
    }

    /// `${Name}` and `${Name.Attribute}`; `${!Literal}` stays, without the mark.
    fn substitute(&self, argument: &Value) -> String {
        let (text, own) = match argument {
            Value::Array(parts) => (&parts[0], self.resolve(&parts[1]).unwrap_or_default()),
            text => (text, Value::Null),
        };
        let mut parts = text.as_str().unwrap().split("${");
        let mut substituted = parts.next().unwrap().to_owned();
        for part in parts {
            let (name, rest) = part.split_once('}').unwrap();
            let value = match (name.strip_prefix('!'), own.get(name)) {
                (Some(literal), _) => format!("${{{literal}}}"),
                (None, Some(value)) => text_of(value),
                (None, None) => text_of(&self.reference(name)),
            };
            substituted = substituted + &value + rest;
        }
        substituted
    }
}

/// CloudFormation's parameters are always text.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A short form such as `!Ref Name` becomes the long one, `{"Ref": "Name"}`.
fn json(yaml: &Yaml<'_>) -> Value {
    match yaml {
        Yaml::Tagged(tag, value) => tagged(tag, json(value)),
        Yaml::Representation(text, _, Some(tag)) => tagged(tag, text.as_ref().into()),
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(flag)) => (*flag).into(),
        Yaml::Value(Scalar::Integer(number)) => (*number).into(),
        Yaml::Value(Scalar::FloatingPoint(number)) => number.into_inner().into(),
        Yaml::Value(Scalar::String(text)) => text.as_ref().into(),
        Yaml::Sequence(items) => items.iter().map(json).collect(),
        Yaml::Mapping(entries) => entries
            .iter()
            .map(|(key, value)| (text_of(&json(key)), json(value)))
            .collect::<Map<_, _>>()
            .into(),
        other => panic!("YAML that no template needs: {other:?}"),
    }
}

fn tagged(tag: &Tag, value: Value) -> Value {
    let name = match tag.suffix.as_str() {
        name @ ("Ref" | "Condition") => name.to_owned(),
        name => format!("Fn::{name}"),
    };
    json!({ name: value })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
Parameters:
  Names: {Type: CommaDelimitedList, Default: "a-1,b-2"}
  Size: {Type: Number, Default: 5}
  Key: {Type: String, Default: ""}
Conditions:
  HasKey: !Not [!Equals [!Ref Key, ""]]
  IsFive: !And [!Equals [!Ref Size, "5"], !Not [!Condition HasKey]]
Resources:
  One:
    Type: T
    Properties:
      Sub: !Sub "${AWS::Region}/${Key}/${Two.Arn}/${!Kept}"
      Own: !Sub ["${X}-${Size}", {X: !Join ["+", !Ref Names]}]
      Att: !GetAtt Two.Arn
      Names: !Ref Names
      Second: !Select [1, !Split ["/", "x/y"]]
      List: [!If [HasKey, keyed, !Ref AWS::NoValue], !If [IsFive, five, other]]
      Gone: !If [HasKey, keyed, !Ref AWS::NoValue]
      Condition: {StringEquals: {k: v}}
  Keyed:
    Type: T
    Condition: HasKey
  Fn::ForEach::Each:
    - Name
    - !Ref Names
    - Each&{Name}:
        Type: T
        Properties: {Name: !Ref Name}
"#;

    #[test]
    fn a_template_is_read_as_cloudformation_reads_it() {
        let resources = Template::read(TEXT, &[]).resources();
        let names: Vec<&str> = resources.keys().map(String::as_str).collect();
        assert_eq!(names, ["Eacha1", "Eachb2", "One"]);
        assert_eq!(
            resources["One"]["Properties"],
            json!({
                "Sub": "us-east-1//Two.Arn/${Kept}",
                "Own": "a-1+b-2-5",
                "Att": "Two.Arn",
                "Names": ["a-1", "b-2"],
                "Second": "y",
                "List": ["five"],
                "Condition": { "StringEquals": { "k": "v" } },
            })
        );
        assert_eq!(resources["Eachb2"]["Properties"]["Name"], "b-2");
        let keyed = Template::read(TEXT, &[("Key", "k")]).resources();
        assert!(keyed.contains_key("Keyed"));
        assert_eq!(keyed["One"]["Properties"]["Gone"], "keyed");
    }
}
