use annulus::shm::{self, ErrorKind, Place};
use annulus::{Wait, WaitSet};
use std::time::Duration;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let place = Place::page_file(format!(r"Local\MyFileMappingObject-{}", std::process::id()));
    let memory = shm::at(&place).size(256).open_or_create()?; // W1
    assert!(memory.created()); // W2
    let viewer = shm::at(&place).read_only().open()?; // W4
    assert_eq!(viewer.size()?, 4096); // W21
    let mapping = memory.map()?; // W6
    mapping.write(0, b"Message from first process.")?; // W10
    let mut text = [0u8; 7];
    viewer.map_range(..7)?.read(0, &mut text)?; // W7
    assert_eq!(&text, b"Message");
    viewer.mapping().copy_on_write().map()?.set(0, b'm')?; // W8
    let free = shm::at(Place::anonymous()).size(1 << 20).create_new()?.map()?.address(); // W22
    assert_eq!(free % shm::address_granularity(), 0); // W18
    memory.mapping().at_address(free).map()?; // W9
    memory.mapping().prefault().map()?; // W19
    mapping.flush()?; // W11
    if let Err(error) = mapping.lock_in_memory() {
        println!("{error}"); // W12
    }
    drop(memory.lock(Duration::from_millis(500))?); // W14
    assert_eq!(shm::page_bytes(), 4096); // W15
    drop((mapping, viewer, memory)); // W13
    assert_eq!(*shm::at(&place).open().unwrap_err().kind(), ErrorKind::NotFound); // W13

    let global = Place::page_file(format!(r"Global\MyFileMappingObject-{}", std::process::id()));
    match shm::at(&global).size(5 << 30).huge_pages().create_new() {
        Ok(all) => println!("all sessions find it: {:?}", all.map_range(4 << 30..)?.huge_pages()), // W5, W20
        Err(error) => println!("{error}"), // W5
    }

    let path = std::env::temp_dir().join(format!("mapped-{}", std::process::id()));
    let file = shm::at(Place::file(&path)).size(256).open_or_create()?; // W3
    let mapping = file.map()?;
    if let Err(error) = file.resize(100) {
        assert_eq!(*error.kind(), ErrorKind::Mapped); // W23
    }
    drop(mapping);
    file.remove()?; // W24

    let name = format!("event-{}", std::process::id());
    let mut producer = annulus::create(&name).producer::<u64>()?; // W16
    let mut reader = annulus::open(&name).observer::<u64>()?; // W16
    producer.push(&[1])?; // W16
    let wait = Wait::new().timeout(Duration::from_secs(1));
    assert_eq!(WaitSet::new().wait(&mut [&mut reader], wait)?, [0]); // W17
    assert_eq!(reader.read(&mut [0; 8], wait)?.frames, 1); // W16
    Ok(())
}
