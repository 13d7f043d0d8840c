//! Which school a feature's key names.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::str::FromStr;

use super::CatchmentOptions;
use crate::error::{Error, ImportError, Result};
use crate::geo::LatLng;
use crate::ids::{Laestab, Ukprn, Urn};
use crate::import::facts;
use crate::models::{School, SchoolSummary, words};
use crate::repository::SchoolRepository;
use crate::request::SchoolSearch;
use crate::text::{fold, shortened};

words! {
    /// What names a school in a published file.
    KeyKind, "key_is" {
        /// Its unique reference number in the official register.
        Urn = "urn",
        /// Its LAESTAB, also called its DfE number.
        Laestab = "laestab",
        /// Its UK Provider Reference Number.
        Ukprn = "ukprn",
        /// Its name, [folded](crate::text::fold).
        Name = "name",
    }
}

impl KeyKind {
    const fn plural(self) -> &'static str {
        match self {
            Self::Urn => "URNs",
            Self::Laestab => "LAESTABs",
            Self::Ukprn => "UKPRNs",
            Self::Name => "names",
        }
    }

    /// Returns the kind whose form most texts have.
    fn by_form(texts: &BTreeSet<String>) -> Self {
        let count = |is_of_form: fn(&String) -> bool| texts.iter().filter(|text| is_of_form(text)).count();
        let urns = count(|text| text.parse::<Urn>().is_ok());
        let laestabs = count(|text| text.parse::<Laestab>().is_ok());
        let ukprns = count(|text| text.parse::<Ukprn>().is_ok());
        let most = urns.max(laestabs).max(ukprns);
        match most {
            _ if most * 2 < texts.len() => Self::Name,
            most if most == urns => Self::Urn,
            most if most == laestabs => Self::Laestab,
            _ => Self::Ukprn,
        }
    }

    /// Returns why a text names no school of the database.
    fn unknown(self, text: &str, council: Option<&str>) -> String {
        let invalid = match self {
            Self::Urn => match facts::urn(text) {
                Ok(urn) => return Error::UnknownUrn { urn }.to_string(),
                Err(invalid) => Some(invalid.to_owned()),
            },
            Self::Laestab => text.parse::<Laestab>().err().map(|error| error.to_string()),
            Self::Ukprn => text.parse::<Ukprn>().err().map(|error| error.to_string()),
            Self::Name => None,
        };
        invalid.unwrap_or_else(|| match (self, council) {
            (Self::Laestab, _) => format!("no school has LAESTAB {text}"),
            (Self::Name, Some(council)) => format!("no school of {council} is called {:?}", shortened(text)),
            (Self::Name, None) => format!("no school is called {:?}", shortened(text)),
            (Self::Urn | Self::Ukprn, _) => format!("no school has UKPRN {text}"),
        })
    }
}

/// A school that a key may name.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Owner {
    pub(super) urn: Urn,
    pub(super) location: Option<LatLng>,
    council: Option<String>,
    is_open: bool,
}

impl From<School> for Owner {
    fn from(school: School) -> Self {
        SchoolSummary::from(school).into()
    }
}

impl From<SchoolSummary> for Owner {
    fn from(school: SchoolSummary) -> Self {
        let location = school.lat.zip(school.lng).map(|(lat, lng)| LatLng::new(lat, lng));
        Self { urn: school.urn, location, is_open: school.status.is_open(), council: school.council }
    }
}

/// The schools that the keys of a file name.
#[derive(Debug)]
pub(super) struct Owners {
    pub(super) kind: KeyKind,
    council: Option<String>,
    by_text: HashMap<String, Vec<Owner>>,
    /// How the kind of key was recognised, where that is worth a word.
    pub(super) notice: Option<String>,
}

impl Owners {
    /// Finds the schools of a file's keys. A kind of key that was not stated is recognised: the one by which most of
    /// the keys name a school, where hardly any do by another.
    pub(super) async fn find(
        repository: &dyn SchoolRepository,
        texts: &BTreeSet<String>,
        options: &CatchmentOptions,
    ) -> Result<Self> {
        let council = options.council.clone();
        if let Some(kind) = options.key_is {
            let by_text = named(repository, kind, texts, council.as_deref()).await?;
            return Ok(Self { kind, council, by_text, notice: None });
        }
        let mut found = Vec::new();
        for kind in KeyKind::ALL {
            found.push((*kind, named(repository, *kind, texts, council.as_deref()).await?));
        }
        // In the order of declaration where as many are found.
        found.sort_by_key(|(_, by_text)| std::cmp::Reverse(by_text.len()));
        let counts: Vec<_> = found.iter().map(|(kind, by_text)| (*kind, by_text.len())).collect();
        let ((kind, by_text), most, second) = match (found.into_iter().next(), counts.as_slice()) {
            (Some(first), [(_, most), second, ..]) => (first, *most, *second),
            _ => unreachable!("there are several kinds"),
        };
        // Where no school is known, the form of the keys shows what is missing.
        let kind = if most == 0 { KeyKind::by_form(texts) } else { kind };
        if second.1 * 10 > most {
            let found = format!("{most} {} and {} {}", kind.plural(), second.1, second.0.plural());
            return Err(ImportError::UnclearKey { key: options.key.clone(), found }.into());
        }
        let notice = format!(
            "{:?} holds {} of schools: {most} of {} are in the database",
            options.key,
            kind.plural(),
            texts.len()
        );
        Ok(Self { kind, council, by_text, notice: (most > 0 && kind != KeyKind::Urn).then_some(notice) })
    }

    /// Returns the school that a key names, or why it is not known.
    pub(super) fn owner(&self, text: &str) -> Result<&Owner, String> {
        match self.by_text.get(text).map(Vec::as_slice) {
            Some([owner]) => Ok(owner),
            None | Some([]) => Err(self.kind.unknown(text, self.council.as_deref())),
            Some(owners) => {
                let place = |owner: &Owner| match &owner.council {
                    Some(council) => format!("{} ({council})", owner.urn),
                    None => owner.urn.to_string(),
                };
                let several = owners.iter().take(5).map(place).collect::<Vec<_>>().join(", ");
                let what = match (self.kind, &self.council) {
                    (KeyKind::Name, None) => "state the council (--council), or another key",
                    _ => "another key is needed",
                };
                Err(format!("{} schools are meant, URN {several}: {what}", owners.len()))
            }
        }
    }
}

/// Returns the schools that each text names, if any. Open schools are meant where there are some.
async fn named(
    repository: &dyn SchoolRepository,
    kind: KeyKind,
    texts: &BTreeSet<String>,
    council: Option<&str>,
) -> Result<HashMap<String, Vec<Owner>>> {
    match kind {
        KeyKind::Urn => {
            let (urns, by_urn) = identifiers::<Urn>(texts);
            let schools = repository.schools_by_urn(&urns).await?;
            Ok(owned(by_urn, schools.into_iter().map(|school| (school.urn, school))))
        }
        KeyKind::Laestab => {
            let (laestabs, by_laestab) = identifiers::<Laestab>(texts);
            Ok(owned(by_laestab, repository.schools_by_laestab(&laestabs).await?))
        }
        KeyKind::Ukprn => {
            let (ukprns, by_ukprn) = identifiers::<Ukprn>(texts);
            Ok(owned(by_ukprn, repository.schools_by_ukprn(&ukprns).await?))
        }
        KeyKind::Name => {
            let mut by_name: BTreeMap<String, Vec<&str>> = BTreeMap::new();
            for text in texts.iter().filter(|text| text.contains(char::is_alphabetic)) {
                by_name.entry(fold(text)).or_default().push(text);
            }
            if by_name.is_empty() {
                return Ok(HashMap::new());
            }
            let council = council.map(fold);
            let schools = repository.all_schools(&SchoolSearch::open().any_status()).await?;
            let of_council = schools
                .into_iter()
                .map(|hit| hit.school)
                .filter(|school| council.is_none() || council == school.council.as_deref().map(fold));
            Ok(owned(by_name, of_council.map(|school| (fold(&school.name), school))))
        }
    }
}

/// Returns the identifiers among texts, and the texts of each.
fn identifiers<I: FromStr + Ord + Copy>(texts: &BTreeSet<String>) -> (Vec<I>, BTreeMap<I, Vec<&str>>) {
    let mut by_identifier: BTreeMap<I, Vec<&str>> = BTreeMap::new();
    for text in texts {
        if let Ok(identifier) = text.parse() {
            by_identifier.entry(identifier).or_default().push(text);
        }
    }
    (by_identifier.keys().copied().collect(), by_identifier)
}

fn owned<K: Ord, S: Into<Owner>>(
    texts: BTreeMap<K, Vec<&str>>,
    schools: impl IntoIterator<Item = (K, S)>,
) -> HashMap<String, Vec<Owner>> {
    let mut owners: HashMap<String, Vec<Owner>> = HashMap::new();
    for (key, school) in schools {
        let Some(texts) = texts.get(&key) else { continue };
        let owner = school.into();
        for text in texts {
            owners.entry((*text).to_owned()).or_default().push(owner.clone());
        }
    }
    for owners in owners.values_mut() {
        if owners.iter().any(|owner| owner.is_open) {
            owners.retain(|owner| owner.is_open);
        }
    }
    owners
}
