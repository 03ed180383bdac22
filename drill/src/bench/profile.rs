//! Where a rotation waits for PostgreSQL: what the server's own log says of each statement.

use local::world::World;

use super::{
    rotate::rotate,
    row::{Row, Sample},
};
use crate::demo::Error;

const KINDS: [&str; 3] = [
    "changes and COMMIT",
    "transactions, settings and locks",
    "questions",
];

/// The kind of a statement, by its first word.
fn kind(statement: &str) -> usize {
    match statement.split([' ', ';']).next() {
        Some("BEGIN" | "ROLLBACK") => 1,
        Some("SELECT" | "WITH") => 2,
        _ => 0,
    }
}

/// The server's time in warm rotations, by kind of statement. Not timed with the others: writing the log takes time.
///
/// # Errors
///
/// A rotation fails, or the log cannot be read.
pub(super) async fn profile(
    name: &str,
    world: &World,
    secret: &str,
    rotations: usize,
) -> Result<Vec<Row>, Error> {
    let server = world.postgres();
    let sets = async |value: &str| {
        let dbname = world.dbname();
        let sql = format!("ALTER DATABASE \"{dbname}\" SET log_min_duration_statement = {value}");
        server.execute(&sql).await
    };
    sets("0").await?;
    let mut spent = KINDS.map(|_| Vec::new());
    for _ in 0..rotations {
        let before = server.log()?.len();
        rotate(world, secret).await?;
        let log = server.log()?;
        for (spent, milliseconds) in spent.iter_mut().zip(by_kind(&log[before..])) {
            spent.push(milliseconds);
        }
    }
    sets("-1").await?;
    let row = |(kind, spent): (&str, _)| Row {
        what: format!("{name}: at the server, {kind}"),
        ours: Sample::of(spent, "ms"),
        peer: None,
        goal: None,
    };
    Ok(KINDS.into_iter().zip(spent).map(row).collect())
}

/// Milliseconds by kind: of `duration: 0.123 ms  execute <unnamed>: SELECT …`, and of the same with `statement`, `parse` and `bind`.
fn by_kind(log: &str) -> [f64; KINDS.len()] {
    let mut spent = [0.0; KINDS.len()];
    for line in log.lines() {
        let said = line.split_once("duration: ").and_then(|(_, said)| {
            let (milliseconds, rest) = said.split_once(" ms  ")?;
            Some((milliseconds.parse::<f64>().ok()?, rest.split_once(": ")?.1))
        });
        if let Some((milliseconds, statement)) = said {
            spent[kind(statement)] += milliseconds;
        }
    }
    spent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_log_is_summed_by_kind_of_statement() {
        let log = "LOG:  duration: 1.500 ms  statement: BEGIN; SELECT 1\n\
                   LOG:  connection authorized: user=app\n\
                   LOG:  duration: 0.250 ms  parse <unnamed>: SELECT rolname\n\
                   LOG:  duration: 0.500 ms  execute <unnamed>: SELECT rolname\n\
                   LOG:  duration: 3.000 ms  statement: ALTER ROLE \"app\" PASSWORD '…'; COMMIT\n";
        assert_eq!(by_kind(log), [3.0, 1.5, 0.75]);
    }
}
