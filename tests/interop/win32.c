/* The other side of tests/win32.rs: a program that shares memory by Windows' own calls. `win32 VERB NAME` does one thing, checks
 * what it finds, and says what differs. "ready" on a line of its own means that it waits for a line, to go on.
 * ci/windows.sh builds it. */

#include <windows.h>

#include <stdio.h>
#include <string.h>

#define BYTES 256
#define FROM_C "Message from first process."
#define FROM_RUST "Message from annulus."

static int fail(const char *what) {
    fprintf(stderr, "%s (error %lu)\n", what, (unsigned long)GetLastError());
    return 1;
}

static int go_on(void) {
    char line[16];
    puts("ready");
    fflush(stdout);
    return fgets(line, sizeof line, stdin) != NULL;
}

/* Stores a text that others read, and looks whether they answered. */
static int tell(HANDLE mapping, int answered) {
    char *view = MapViewOfFile(mapping, FILE_MAP_ALL_ACCESS, 0, 0, BYTES);
    if (view == NULL) return fail("MapViewOfFile");
    CopyMemory(view, FROM_C, sizeof FROM_C);
    if (!go_on()) return fail("nobody said that it should go on");
    if (answered && strcmp(view + 128, FROM_RUST) != 0) return fail("no answer at byte 128");
    UnmapViewOfFile(view);
    CloseHandle(mapping);
    return 0;
}

/* Reads the text that is there, and answers. */
static int answer(HANDLE mapping) {
    char *view = MapViewOfFile(mapping, FILE_MAP_ALL_ACCESS, 0, 0, BYTES);
    if (view == NULL) return fail("MapViewOfFile");
    if (strcmp(view, FROM_RUST) != 0) return fail("there is another text");
    CopyMemory(view + 128, FROM_C, sizeof FROM_C);
    UnmapViewOfFile(view);
    CloseHandle(mapping);
    return 0;
}

static HANDLE file_mapping(const char *path, DWORD how, HANDLE *file) {
    *file = CreateFileA(path, GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL,
                        how, FILE_ATTRIBUTE_NORMAL, NULL);
    return *file == INVALID_HANDLE_VALUE ? NULL : CreateFileMappingA(*file, NULL, PAGE_READWRITE, 0, BYTES, NULL);
}

int main(int count, char **words) {
    HANDLE mapping, file = NULL;
    int done;
    if (count != 3) return fail("win32 VERB NAME");
    if (strcmp(words[1], "create") == 0) {
        mapping = CreateFileMappingA(INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE, 0, BYTES, words[2]);
        if (mapping == NULL) return fail("CreateFileMapping");
        if (GetLastError() == ERROR_ALREADY_EXISTS) return fail("it is there already");
        return tell(mapping, 1);
    }
    if (strcmp(words[1], "open") == 0) {
        mapping = OpenFileMappingA(FILE_MAP_ALL_ACCESS, FALSE, words[2]);
        return mapping == NULL ? fail("OpenFileMapping") : answer(mapping);
    }
    if (strcmp(words[1], "none") == 0) {
        mapping = OpenFileMappingA(FILE_MAP_READ, FALSE, words[2]);
        return mapping == NULL && GetLastError() == ERROR_FILE_NOT_FOUND ? 0 : fail("there is something");
    }
    if (strcmp(words[1], "create-file") == 0) {
        mapping = file_mapping(words[2], CREATE_NEW, &file);
        done = mapping == NULL ? fail("the file") : tell(mapping, 1);
    } else if (strcmp(words[1], "open-file") == 0) {
        mapping = file_mapping(words[2], OPEN_EXISTING, &file);
        done = mapping == NULL ? fail("the file") : answer(mapping);
    } else {
        return fail("no such verb");
    }
    CloseHandle(file);
    return done;
}
