//! What the documents show of published files.

use super::data;
use super::transcript::{RUN, Run, Session, shown};

#[test]
fn commands_print_what_the_documents_show() {
    let session = Session::new();
    for (name, file) in [
        ("edubasealldata.csv", "gias/edubasealldata_open_2026.csv"),
        ("links_edubasealldata.csv", "gias/links_edubasealldata_20250422.csv"),
        ("admissions_history.csv", "milton_keynes/admissions_history.csv"),
        ("edinburgh.csv", "edinburgh/register.csv"),
        ("catchments.geojson", "edinburgh/catchments.geojson"),
    ] {
        std::fs::copy(data(file), session.folder().join(name)).expect("a published file");
    }
    let mut run = 0;
    for command in shown() {
        if RUN.contains(&(command.command.as_str(), Run::OnPublishedData)) {
            session.check(&command);
            run += 1;
        }
    }
    assert_eq!(run, RUN.iter().filter(|(_, run)| *run == Run::OnPublishedData).count(), "each is shown once");
}
