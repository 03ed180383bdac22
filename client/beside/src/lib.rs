//! An application of axum and sqlx, to which the client was added.

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use rotating_secret::pool::sqlx::Pool;
use serde::Serialize;
use sqlx::FromRow;

/// A row, as sqlx's derive reads it.
#[derive(Debug, FromRow, Serialize)]
pub struct Order {
    /// The order's number.
    pub id: i64,
    /// What was ordered.
    pub article: String,
}

/// The application, with the client's pool where it had sqlx's own.
pub fn application(pool: Pool) -> Router {
    Router::new().route("/orders", get(orders)).with_state(pool)
}

async fn orders(State(pool): State<Pool>) -> Result<Json<Vec<Order>>, (StatusCode, String)> {
    let orders = newest(&pool).await;
    orders
        .map(Json)
        .map_err(|error| (StatusCode::SERVICE_UNAVAILABLE, error.to_string()))
}

/// The newest orders.
///
/// # Errors
///
/// As sqlx has it.
pub async fn newest(pool: &Pool) -> sqlx::Result<Vec<Order>> {
    sqlx::query_as("SELECT id, article FROM orders ORDER BY id DESC LIMIT 10")
        .fetch_all(pool)
        .await
}
