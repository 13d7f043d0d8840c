//! Newtypes as values of Diesel.

/// Implements `FromSql` and `ToSql` for a newtype over `$inner`, on every backend that stores `$inner`. `$new`
/// validates a stored value; without it, every value is valid.
macro_rules! sql_value {
    ($name:ident: $sql_type:ident as $inner:ty) => {
        $crate::newtype::sql_value!($name: $sql_type as $inner, |value| {
            Ok::<_, std::convert::Infallible>(Self(value))
        });
    };
    ($name:ident: $sql_type:ident as $inner:ty, $new:expr) => {
        const _: () = {
            use diesel::backend::Backend;
            use diesel::deserialize::{self, FromSql};
            use diesel::serialize::{self, Output, ToSql};
            use diesel::sql_types::$sql_type;

            impl<DB: Backend> FromSql<$sql_type, DB> for $name
            where
                $inner: FromSql<$sql_type, DB>,
            {
                fn from_sql(value: DB::RawValue<'_>) -> deserialize::Result<Self> {
                    let new = $new;
                    Ok(new(<$inner>::from_sql(value)?)?)
                }
            }

            impl<DB: Backend> ToSql<$sql_type, DB> for $name
            where
                $inner: ToSql<$sql_type, DB>,
            {
                fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
                    self.0.to_sql(out)
                }
            }
        };
    };
}

pub(crate) use sql_value;
