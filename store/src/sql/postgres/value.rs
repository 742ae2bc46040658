//! Parameters and rows, as the driver has them.

use bytes::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use super::fault::fault;
use crate::sql::error::SqlError;
use crate::sql::value::{Cell, Row, Value};

pub(super) fn bind<'a>(params: &'a [Value<'a>]) -> Vec<&'a (dyn ToSql + Sync)> {
    params.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

impl ToSql for Value<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Value::Null => Ok(IsNull::Yes),
            Value::Int(n) if *ty == Type::INT8 => n.to_sql(ty, out),
            Value::Text(s) if *ty == Type::TEXT => s.to_sql(ty, out),
            Value::Blob(b) if *ty == Type::BYTEA => b.to_sql(ty, out),
            Value::Int(_) | Value::Text(_) | Value::Blob(_) => Err(format!("parameter does not fit {ty}").into()),
        }
    }
    fn accepts(ty: &Type) -> bool {
        [Type::INT8, Type::TEXT, Type::BYTEA].contains(ty)
    }
    to_sql_checked!();
}

pub(super) fn read(row: &tokio_postgres::Row) -> Result<Row, SqlError> {
    let cells = row.columns().iter().enumerate().map(|(at, column)| {
        let ty = column.type_();
        let cell = if *ty == Type::INT8 {
            row.try_get::<_, Option<i64>>(at).map(|v| v.map_or(Cell::Null, Cell::Int))
        } else if *ty == Type::INT4 {
            row.try_get::<_, Option<i32>>(at).map(|v| v.map_or(Cell::Null, |n| Cell::Int(n.into())))
        } else if *ty == Type::TEXT {
            row.try_get::<_, Option<String>>(at).map(|v| v.map_or(Cell::Null, Cell::Text))
        } else {
            row.try_get::<_, Option<Vec<u8>>>(at).map(|v| v.map_or(Cell::Null, Cell::Blob))
        };
        cell.map_err(fault)
    });
    Ok(Row::new(cells.collect::<Result<_, _>>()?))
}
