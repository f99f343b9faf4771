//! What the compiler refuses, each beside a twin that it accepts and that differs in nothing else.
//!
//! An element must be plain old data, because another process sees its bytes at another address.
//!
//! ```
//! # use bytemuck::{Pod, Zeroable};
//! #[derive(Clone, Copy, Pod, Zeroable)]
//! #[repr(C)]
//! struct Item {
//!     a: u32,
//!     b: u32,
//! }
//! fn ring() { let _ = annulus::create("x").producer::<Item>(); }
//! ```
//! A pointer means nothing in another process:
//! ```compile_fail,E0277
//! # use bytemuck::{Pod, Zeroable};
//! #[derive(Clone, Copy, Pod, Zeroable)]
//! #[repr(C)]
//! struct Item {
//!     a: *const u32,
//!     b: u64,
//! }
//! fn ring() { let _ = annulus::create("x").producer::<Item>(); }
//! ```
//! Nor does a reference:
//! ```compile_fail,E0277
//! # use bytemuck::{Pod, Zeroable};
//! #[derive(Clone, Copy, Pod, Zeroable)]
//! #[repr(C)]
//! struct Item {
//!     a: &'static u64,
//!     b: u64,
//! }
//! fn ring() { let _ = annulus::create("x").producer::<Item>(); }
//! ```
//! Nor a trait object, which is a pointer to data and one to code:
//! ```compile_fail,E0277
//! # use bytemuck::{Pod, Zeroable};
//! fn ring() { let _ = annulus::create("x").producer::<&'static dyn Fn(u32)>(); }
//! ```
//! Nor anything that owns memory:
//! ```compile_fail,E0277
//! fn ring() { let _ = annulus::create("x").producer::<String>(); }
//! ```
//! Padding would show a peer what lay on the stack:
//! ```compile_fail,E0080
//! # use bytemuck::{Pod, Zeroable};
//! #[derive(Clone, Copy, Pod, Zeroable)]
//! #[repr(C)]
//! struct Item {
//!     a: u8,
//!     b: u32,
//! }
//! fn ring() { let _ = annulus::create("x").producer::<Item>(); }
//! ```
//! A `bool` or an enum would be undefined with most bytes that a peer may store:
//! ```compile_fail,E0277
//! fn ring() { let _ = annulus::create("x").producer::<bool>(); }
//! ```
//!
//! A lane has one producer, also within a process. A handle moves:
//! ```
//! fn two(producer: annulus::Producer<f32>) {
//!     let only = producer;
//!     let _ = only;
//! }
//! ```
//! but is not copied,
//! ```compile_fail,E0599
//! fn two(producer: annulus::Producer<f32>) {
//!     let only = producer.clone();
//!     let _ = only;
//! }
//! ```
//! nor shared between threads:
//! ```
//! fn two(mut producer: annulus::Producer<f32>) {
//!     std::thread::scope(|scope| {
//!         let producer = &mut producer;
//!         scope.spawn(move || producer.position());
//!     });
//! }
//! ```
//! ```compile_fail,E0277
//! fn two(mut producer: annulus::Producer<f32>) {
//!     std::thread::scope(|scope| {
//!         let producer = &producer;
//!         scope.spawn(move || producer.position());
//!     });
//! }
//! ```
//! A finished stream cannot be pushed to:
//! ```
//! fn finish(mut producer: annulus::Producer<f32>) {
//!     let _ = producer.push(&[0.0]);
//!     producer.finish();
//! }
//! ```
//! ```compile_fail,E0382
//! fn finish(mut producer: annulus::Producer<f32>) {
//!     producer.finish();
//!     let _ = producer.push(&[0.0]);
//! }
//! ```
//! Frames that were lent cannot be kept once they are given back:
//! ```
//! fn lend(consumer: &mut annulus::Consumer<f32>) -> f32 {
//!     let chunk = consumer.try_chunk(10).unwrap();
//!     let first = chunk.slices().0[0];
//!     chunk.commit_all();
//!     first
//! }
//! ```
//! ```compile_fail,E0505
//! fn lend(consumer: &mut annulus::Consumer<f32>) -> f32 {
//!     let chunk = consumer.try_chunk(10).unwrap();
//!     let first = &chunk.slices().0[0];
//!     chunk.commit_all();
//!     *first
//! }
//! ```
//!
//! What lies in shared memory is plain old data, and points by offsets:
//! ```
//! # use annulus::shm::{Mapping, Offset};
//! # use bytemuck::{Pod, Zeroable};
//! #[derive(Clone, Copy, Pod, Zeroable)]
//! #[repr(C)]
//! struct Node {
//!     value: u64,
//!     next: Offset<u64>,
//! }
//! fn store(mapping: &Mapping, node: Node) { let _ = mapping.set(0, node); }
//! ```
//! not by references,
//! ```compile_fail,E0277
//! # use annulus::shm::{Mapping, Offset};
//! # use bytemuck::{Pod, Zeroable};
//! #[derive(Clone, Copy, Pod, Zeroable)]
//! #[repr(C)]
//! struct Node {
//!     value: u64,
//!     next: &'static u64,
//! }
//! fn store(mapping: &Mapping, node: Node) { let _ = mapping.set(0, node); }
//! ```
//! nor pointers,
//! ```compile_fail,E0277
//! # use annulus::shm::{Mapping, Offset};
//! # use bytemuck::{Pod, Zeroable};
//! #[derive(Clone, Copy, Pod, Zeroable)]
//! #[repr(C)]
//! struct Node {
//!     value: u64,
//!     next: *mut u64,
//! }
//! fn store(mapping: &Mapping, node: Node) { let _ = mapping.set(0, node); }
//! ```
//! nor what owns memory of one process,
//! ```compile_fail,E0277
//! # use annulus::shm::Mapping;
//! fn store(mapping: &Mapping, value: Box<u64>) { let _ = mapping.set(0, value); }
//! ```
//! ```compile_fail,E0277
//! # use annulus::shm::Mapping;
//! fn store(mapping: &Mapping, value: String) { let _ = mapping.set(0, value); }
//! ```
//! ```compile_fail,E0277
//! # use annulus::shm::Mapping;
//! fn load(mapping: &Mapping, values: &mut [Vec<u8>]) { let _ = mapping.read(0, values); }
//! ```
//! nor anything virtual,
//! ```compile_fail,E0277
//! # use annulus::shm::Mapping;
//! fn store(mapping: &Mapping, value: &'static dyn Fn(u64)) { let _ = mapping.set(0, value); }
//! ```
//! and an offset leads to such data only:
//! ```
//! # use annulus::shm::Offset;
//! fn first() -> Offset<u64> { Offset::new(0) }
//! ```
//! ```compile_fail,E0599
//! # use annulus::shm::Offset;
//! fn first() -> Offset<Box<u64>> { Offset::<Box<u64>>::new(0) }
//! ```
//! An atomic, and a slice, live no longer than their mapping:
//! ```
//! # use annulus::shm::Mapping;
//! fn last(mapping: Mapping) {
//!     let word = mapping.atomic_u32(0).unwrap();
//!     let _ = word;
//!     drop(mapping);
//! }
//! ```
//! ```compile_fail,E0505
//! # use annulus::shm::Mapping;
//! fn last(mapping: Mapping) {
//!     let word = mapping.atomic_u32(0).unwrap();
//!     drop(mapping);
//!     let _ = word;
//! }
//! ```
