//! The crate's batch searches as functions of SQL: `nearest(lat, lng, generation)` and `serving(lat, lng, generation)`
//! return a list of schools for each home.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, Int64Array, ListArray, StringArray, StructArray, UInt32Array};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::cast::as_float64_array;
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, exec_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use school_finder_db::batch::{Batch, BatchRow, Nearest, Serving, rows};
use school_finder_db::models::Evidence;
use school_finder_db::repository::SchoolRepository;
use school_finder_db::{Kilometres, LatLng, SchoolSearch};

/// How many schools `nearest` returns for a home.
const COUNT: usize = 5;

/// The schools of one generation, in memory.
pub struct Schools {
    generation: String,
    nearest: Arc<dyn Batch + Send>,
    serving: Arc<dyn Batch + Send>,
}

impl Schools {
    /// Reads the open schools. They are all from one generation, also if another one arrives meanwhile.
    pub async fn load(finder: &dyn SchoolRepository) -> Result<Self, Box<dyn std::error::Error>> {
        let open = SchoolSearch::open();
        loop {
            let generation = generation(finder).await?;
            let schools = Self {
                nearest: Arc::new(Nearest::load(finder, &open, COUNT).await?),
                serving: Arc::new(Serving::load(finder, &open).await?),
                generation,
            };
            if self::generation(finder).await? == schools.generation {
                return Ok(schools);
            }
        }
    }
}

/// Returns the number of the generation that is read.
pub async fn generation(finder: &dyn SchoolRepository) -> Result<String, Box<dyn std::error::Error>> {
    Ok(finder.health().await?.generation.ok_or("the schools have no generation: ship them")?.to_string())
}

/// Returns both functions. Without schools they have a name and types, which is all that a client and a scheduler need.
pub fn functions(schools: Option<&Schools>) -> [ScalarUDF; 2] {
    let function = |name, batch: fn(&Schools) -> &Arc<dyn Batch + Send>| {
        ScalarUDF::from(SchoolsOfHome {
            name,
            // Within a query, a home always has the same schools.
            signature: Signature::exact(vec![DataType::Float64, DataType::Float64, DataType::Utf8], Volatility::Stable),
            schools: schools.map(|schools| (schools.generation.clone(), Arc::clone(batch(schools)))),
        })
    };
    [function("nearest", |schools| &schools.nearest), function("serving", |schools| &schools.serving)]
}

struct SchoolsOfHome {
    name: &'static str,
    signature: Signature,
    /// With their generation.
    schools: Option<(String, Arc<dyn Batch + Send>)>,
}

impl ScalarUDFImpl for SchoolsOfHome {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::List(item()))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some((loaded, batch)) = &self.schools else {
            return exec_err!("{} has schools on an executor alone", self.name);
        };
        let [lat, lng, ColumnarValue::Scalar(ScalarValue::Utf8(Some(generation)))] = args.args.as_slice() else {
            return exec_err!("{} takes lat, lng and the text of a generation", self.name);
        };
        if generation != loaded {
            return exec_err!(
                "this executor has generation {loaded}, and the query names {generation}: ship and restart"
            );
        }
        let columns = ColumnarValue::values_to_arrays(&[lat.clone(), lng.clone()])?;
        let [lats, lngs] = columns.as_slice() else {
            return exec_err!("{} takes lat and lng", self.name);
        };
        let homes = as_float64_array(lats)?.iter().zip(as_float64_array(lngs)?).map(|(lat, lng)| {
            let (Some(lat), Some(lng)) = (lat, lng) else {
                return exec_err!("a home has no location");
            };
            LatLng::from_lat_lng(lat, lng).map_err(|error| exec_datafusion_err!("{error}"))
        });
        let homes = homes.collect::<Result<Vec<_>>>()?;
        Ok(ColumnarValue::Array(Arc::new(lists(homes.len(), &rows(batch.as_ref(), 0, &homes))?)))
    }
}

/// Functions of the same name are the same.
impl PartialEq for SchoolsOfHome {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for SchoolsOfHome {}

impl Hash for SchoolsOfHome {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl fmt::Debug for SchoolsOfHome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// A school of a list, with the columns of `school-finder batch`.
fn fields() -> Fields {
    Fields::from(vec![
        Field::new("rank", DataType::UInt32, false),
        Field::new("school_id", DataType::Int64, false),
        Field::new("urn", DataType::Int64, false),
        Field::new("distance_km", DataType::Float64, true),
        Field::new("evidence", DataType::Utf8, true),
    ])
}

fn item() -> Arc<Field> {
    Arc::new(Field::new_list_field(DataType::Struct(fields()), true))
}

/// Returns one list for each home, from rows in the order of the homes. A home without rows has an empty list.
fn lists(homes: usize, rows: &[BatchRow]) -> Result<ListArray> {
    let mut lengths = vec![0; homes];
    for row in rows {
        lengths[usize::try_from(row.home).map_err(|error| exec_datafusion_err!("{error}"))?] += 1;
    }
    let hits = || rows.iter().map(|row| row.hit);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|row| row.rank).collect::<UInt32Array>()),
        Arc::new(hits().map(|hit| hit.id.get()).collect::<Int64Array>()),
        Arc::new(hits().map(|hit| i64::from(hit.urn.get())).collect::<Int64Array>()),
        Arc::new(hits().map(|hit| hit.distance_km.map(Kilometres::get)).collect::<Float64Array>()),
        Arc::new(hits().map(|hit| hit.evidence.map(Evidence::as_str)).collect::<StringArray>()),
    ];
    let schools = StructArray::try_new(fields(), columns, None)?;
    Ok(ListArray::try_new(item(), OffsetBuffer::from_lengths(lengths), Arc::new(schools), None)?)
}
