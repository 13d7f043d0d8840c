use school_finder_db::import::RegisterImport;
use school_finder_db::*;
#[tokio::main]
async fn main() -> Result<()> {
    let path = "/tmp/smoke.db";
    for e in ["", "-wal", "-shm"] { let _ = std::fs::remove_file(format!("{path}{e}")); }
    let config = Config::from_url(path)?;
    println!("{:?}", migrate::up(&config).await?);
    let finder = connect(&config).await?;
    let t = std::time::Instant::now();
    let file = std::fs::File::open("/work/shared/data/gias/edubasealldata_open_2026.csv").unwrap();
    let counts = RegisterImport::new().on_reject(|r| println!("{r:?}")).run(finder.as_ref(), file).await?;
    println!("{counts:?} {:?}", t.elapsed());
    let t = std::time::Instant::now();
    let file = std::fs::File::open("/work/shared/data/gias/edubasealldata_open_2026.csv").unwrap();
    println!("{:?} {:?}", RegisterImport::new().run(finder.as_ref(), file).await?, t.elapsed());
    let home = LatLng::from_lat_lng(52.0406, -0.7594)?;
    let s = SchoolSearch::near(home).within(Kilometres::new(5.0)?);
    let page = finder.find_schools(&s).await?;
    for h in &page.items { println!("{} {} {:?}", h.school.urn, h.school.name, h.distance_km); }
    println!("{}", finder.explain_find(&s).await?);
    println!("{}", finder.explain_find(&SchoolSearch::all()).await?);
    println!("{}", finder.explain_find(&SchoolSearch::all().council("Leeds").limit(50)).await?);
    println!("{}", finder.explain_find(&SchoolSearch::all().sort(Sort::Rating)).await?);
    for (n, s) in [("radius", s.clone()), ("nearest", SchoolSearch::near(home)), ("filtered", SchoolSearch::near(home).within(Kilometres::new(5.0)?).phase(models::Phase::Secondary)), ("listing", SchoolSearch::all().council("Leeds").limit(50)), ("all by name", SchoolSearch::all()), ("rare", SchoolSearch::near(home).phase(models::Phase::MiddlePrimary).limit(4)),("none", SchoolSearch::near(home).phase(models::Phase::MiddlePrimary)),("name", SchoolSearch::near(home).name("hilltop"))] {
        let mut best = std::time::Duration::MAX;
        for _ in 0..50 { let t = std::time::Instant::now(); finder.find_schools(&s).await?; best = best.min(t.elapsed()); }
        println!("{n}: {best:?}");
    }
    let t = std::time::Instant::now();
    println!("{} councils {:?}", finder.councils().await?.len(), t.elapsed());
    let t = std::time::Instant::now();
    let f = finder.facets(&s).await?; println!("{f:?} {:?}", t.elapsed());
    let t = std::time::Instant::now();
    let f = finder.facets(&SchoolSearch::all()).await?; println!("{:?} {:?}", f.phase, t.elapsed());
    println!("{:?}", migrate::check(&config).await?);
    Ok(())
}
