//! Operations on real streams of all kinds, in any order, through the public interface. Whatever each of them gives,
//! the oracle has predicted: every value, position, loss, count and error.

use super::Place;
use super::script::Script;
use super::shape::Shape;
use super::world::World;
use std::path::Path;

/// Enough to wrap a small ring many times.
const OPERATIONS_MAX: usize = 400;

pub fn run(bytes: &[u8], directory: &Path) {
    let mut script = Script::new(bytes);
    let place = Place(directory);
    let mut world = World::new(&place, Shape::read(&mut script));
    for number in 0..OPERATIONS_MAX {
        if script.is_over() {
            break;
        }
        world.operate(script.byte(), script.byte(), script.short());
        if number % 16 == 15 {
            world.check_status();
        }
    }
    world.check_status();
}
