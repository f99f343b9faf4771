// The other side of tests/interop.rs: a program that uses Boost.Interprocess. It does what its arguments say, checks every
// byte, and says what differs. "ready" on a line of its own means that it waits for a line, to go on. ci/interop.sh builds it.

#include <boost/interprocess/file_mapping.hpp>
#include <boost/interprocess/mapped_region.hpp>
#include <boost/interprocess/shared_memory_object.hpp>
#include <boost/interprocess/xsi_key.hpp>
#include <boost/interprocess/xsi_shared_memory.hpp>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <iostream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

namespace bi = boost::interprocess;
using Bytes = unsigned char;

static const std::size_t MEMORY = 1000;
static const std::size_t FILE_BYTES = 10000;
static const std::uint8_t PROJECT = 'A';

static void fail(const std::string &what) { throw std::runtime_error(what); }

static std::string number(std::uint64_t value) { return std::to_string(value); }

static void wait_to_go_on() {
    std::cout << "ready" << std::endl;
    std::string line;
    if (!std::getline(std::cin, line)) fail("nobody said that it should go on");
}

// That there are so many bytes, each of them this one.
static void all_are(const void *from, std::size_t found, std::size_t wanted, Bytes value) {
    if (found != wanted) fail("there are " + number(found) + " bytes, not " + number(wanted));
    const Bytes *bytes = static_cast<const Bytes *>(from);
    for (std::size_t at = 0; at < wanted; ++at)
        if (bytes[at] != value)
            fail("byte " + number(at) + " is " + number(bytes[at]) + ", not " + number(value));
}

static void region_is(const bi::mapped_region &region, std::size_t wanted, Bytes value) {
    all_are(region.get_address(), region.get_size(), wanted, value);
}

static void size_is(const bi::shared_memory_object &object, std::size_t wanted) {
    bi::offset_t size = 0;
    if (!object.get_size(size)) fail("it does not tell its size");
    if (size != static_cast<bi::offset_t>(wanted))
        fail("it has " + number(static_cast<std::uint64_t>(size)) + " bytes, not " + number(wanted));
}

static void fill(const bi::mapped_region &region, Bytes value) {
    std::memset(region.get_address(), value, region.get_size());
}

static void create(const std::string &name, Bytes value) {
    bi::shared_memory_object object(bi::create_only, name.c_str(), bi::read_write);
    object.truncate(MEMORY);
    fill(bi::mapped_region(object, bi::read_write), value);
}

static void check(const std::string &name) {
    bi::shared_memory_object object(bi::open_only, name.c_str(), bi::read_only);
    size_is(object, MEMORY);
    region_is(bi::mapped_region(object, bi::read_only), MEMORY, 1);
}

// Two regions of one object, at two addresses: what is stored through one is seen through the other. Byte `at` is then
// `at` modulo 251.
static void regions(const std::string &name) {
    bi::shared_memory_object object(bi::open_only, name.c_str(), bi::read_write);
    bi::mapped_region whole(object, bi::read_write);
    bi::mapped_region tail(object, bi::read_write, MEMORY / 2, MEMORY / 2);
    if (whole.get_address() == tail.get_address()) fail("both regions have the same address");
    Bytes *bytes = static_cast<Bytes *>(whole.get_address());
    for (std::size_t at = 0; at < MEMORY; ++at) bytes[at] = static_cast<Bytes>(at % 251);
    const Bytes *rest = static_cast<const Bytes *>(tail.get_address());
    for (std::size_t at = 0; at < tail.get_size(); ++at)
        if (rest[at] != (at + MEMORY / 2) % 251) fail("the second region differs at byte " + number(at));
}

// Has it mapped while another removes it, and makes a new one of the same name.
static void hold(const std::string &name) {
    bi::shared_memory_object object(bi::open_only, name.c_str(), bi::read_write);
    bi::mapped_region region(object, bi::read_write);
    region_is(region, MEMORY, 1);
    wait_to_go_on();
    region_is(region, MEMORY, 1);
    fill(region, 3);
    region_is(region, MEMORY, 3);
}

// Removes it, finds nothing of that name, and makes a new one at once.
static void replace(const std::string &name) {
    if (!bi::shared_memory_object::remove(name.c_str())) fail("it could not be removed");
    if (bi::shared_memory_object::remove(name.c_str())) fail("there was something to be removed a second time");
    create(name, 2);
}

static void file_create(const std::string &path) {
    {
        std::filebuf file;
        if (!file.open(path, std::ios_base::in | std::ios_base::out | std::ios_base::trunc | std::ios_base::binary))
            fail("the file could not be made");
        file.pubseekoff(FILE_BYTES - 1, std::ios_base::beg);
        file.sputc(0);
    }
    bi::file_mapping file(path.c_str(), bi::read_write);
    bi::mapped_region region(file, bi::read_write);
    fill(region, 1);
    if (!region.flush()) fail("it could not be flushed");
}

static void file_check(const std::string &path) {
    bi::file_mapping file(path.c_str(), bi::read_only);
    region_is(bi::mapped_region(file, bi::read_only), FILE_BYTES, 1);
    std::ifstream plain(path, std::ios::binary);
    std::vector<char> bytes((std::istreambuf_iterator<char>(plain)), std::istreambuf_iterator<char>());
    all_are(bytes.data(), bytes.size(), FILE_BYTES, 1);
}

static void xsi_create(const std::string &path) {
    bi::xsi_key key(path.c_str(), PROJECT);
    bi::xsi_shared_memory segment(bi::create_only, key, MEMORY);
    fill(bi::mapped_region(segment, bi::read_write), 1);
    std::cout << key.get_key() << " " << segment.get_shmid() << std::endl;
}

static void xsi_check(const std::string &path) {
    bi::xsi_key key(path.c_str(), PROJECT);
    bi::xsi_shared_memory segment(bi::open_only, key);
    region_is(bi::mapped_region(segment, bi::read_only), MEMORY, 1);
    std::cout << key.get_key() << " " << segment.get_shmid() << std::endl;
}

static void xsi_hold(const std::string &path) {
    bi::xsi_shared_memory segment(bi::open_only, bi::xsi_key(path.c_str(), PROJECT));
    bi::mapped_region region(segment, bi::read_write);
    region_is(region, MEMORY, 1);
    wait_to_go_on();
    region_is(region, MEMORY, 1);
}

static void xsi_remove(const std::string &id) {
    if (!bi::xsi_shared_memory::remove(std::stoi(id))) fail("it could not be removed");
}

int main(int count, char **arguments) {
    const std::map<std::string, std::function<void(const std::string &)>> all = {
        {"create", [](const std::string &name) { create(name, 1); }},
        {"check", check},
        {"regions", regions},
        {"hold", hold},
        {"replace", replace},
        {"file-create", file_create},
        {"file-check", file_check},
        {"xsi-create", xsi_create},
        {"xsi-check", xsi_check},
        {"xsi-hold", xsi_hold},
        {"xsi-remove", xsi_remove},
    };
    try {
        if (count != 3 || !all.count(arguments[1])) fail("say what to do, and with which object");
        all.at(arguments[1])(arguments[2]);
    } catch (const std::exception &error) {
        std::cerr << "boost: " << (count > 1 ? arguments[1] : "") << ": " << error.what() << std::endl;
        return 1;
    }
    return 0;
}
