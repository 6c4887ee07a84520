/*
 * Preloaded into a cloud by tests alone: writes down what it does to the files of a folder (OWNKEY_TEST_POWER_OF), in a journal in another
 * (OWNKEY_TEST_POWER_TO), so that a power cut can be made up afterwards: see power-cut.ts.
 * A record: u32 kind, u32 length of what follows the header, u64 inode, u64 offset, u64 size of the file before, u64 length of the bytes.
 *   1 write     the bytes before (as many as there were), then the bytes written
 *   2 truncate  the bytes that were cut off; offset is the new size
 *   3 sync      everything of this inode that stands above is on the disk
 *   4 create    inode of the folder; the path
 *   5 rename    inode of the folder of the new path; old path, 0, new path, 0, kept name of what was replaced or nothing
 *   6 unlink    inode of the folder; the path, 0, kept name
 *   7 mkdir     inode of the parent; the path
 * One lock over call and record: their order in the journal is the one in which they happened.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { WRITE = 1, TRUNCATE, SYNC, CREATE, RENAME, UNLINK, MKDIR };

struct header {
  uint32_t kind, length;
  uint64_t inode, offset, size, bytes;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *of, *to;
static int journal = -1, lies;
static long kept;

__attribute__((constructor)) static void begin(void) {
  of = getenv("OWNKEY_TEST_POWER_OF");
  to = getenv("OWNKEY_TEST_POWER_TO");
  lies = getenv("OWNKEY_TEST_POWER_LIES") != NULL;
  if (of == NULL || to == NULL) return;
  char path[4096];
  snprintf(path, sizeof path, "%s/journal", to);
  journal = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static int inside(const char *path) {
  size_t length = of == NULL ? 0 : strlen(of);
  if (journal < 0 || strncmp(path, of, length) != 0 || path[length] != '/') return 0;
  /* Memory that processes share, the lock of the folder, and a log, on which no promise depends. */
  const char *name = path + length + 1;
  size_t end = strlen(name);
  return !(end > 4 && strcmp(name + end - 4, "-shm") == 0) && strncmp(name, "lock", 4) != 0 && strcmp(name, "service.log") != 0;
}

/* Whether the file is one of ours; its inode and size. */
static int ours(int file, struct stat *found) {
  if (journal < 0) return 0;
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  long length = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
  if (length <= 0) return 0;
  path[length] = 0;
  return inside(path) && fstat(file, found) == 0;
}

static void put(const void *bytes, size_t length) {
  for (const char *at = bytes; length > 0;) {
    long written = syscall(SYS_write, journal, at, length);
    if (written <= 0) abort();
    at += written;
    length -= (size_t)written;
  }
}

static void note(uint32_t kind, uint64_t inode, uint64_t offset, uint64_t size, const void *before, size_t of_before,
                 const void *after, size_t of_after) {
  struct header header = {kind, (uint32_t)(of_before + of_after), inode, offset, size, of_after};
  char *record = malloc(sizeof header + of_before + of_after);
  if (record == NULL) abort();
  memcpy(record, &header, sizeof header);
  if (of_before > 0) memcpy(record + sizeof header, before, of_before);
  if (of_after > 0) memcpy(record + sizeof header + of_before, after, of_after);
  put(record, sizeof header + of_before + of_after);
  free(record);
}

static size_t read_before(int file, char *buffer, size_t length, off_t at) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  /* It may be open for writing alone. */
  int reading = (int)syscall(SYS_openat, AT_FDCWD, link, O_RDONLY | O_CLOEXEC, 0);
  if (reading < 0) return 0;
  size_t done = 0;
  while (done < length) {
    long read = syscall(SYS_pread64, reading, buffer + done, length - done, at + (off_t)done);
    if (read <= 0) break;
    done += (size_t)read;
  }
  syscall(SYS_close, reading);
  return done;
}

static ssize_t writing(int file, const struct iovec *parts, int count, off_t at, int keeps_place) {
  struct stat found;
  if (!ours(file, &found) || !S_ISREG(found.st_mode))
    return keeps_place ? syscall(SYS_pwritev, file, parts, (long)count, (long)at, 0L) : syscall(SYS_writev, file, parts, (long)count);
  pthread_mutex_lock(&lock);
  fstat(file, &found);
  if (!keeps_place) at = (fcntl(file, F_GETFL) & O_APPEND) != 0 ? found.st_size : lseek(file, 0, SEEK_CUR);
  size_t length = 0;
  for (int part = 0; part < count; part++) length += parts[part].iov_len;
  char *before = malloc(length + 1), *after = malloc(length + 1);
  if (before == NULL || after == NULL) abort();
  size_t had = read_before(file, before, length, at), filled = 0;
  for (int part = 0; part < count; part++) {
    memcpy(after + filled, parts[part].iov_base, parts[part].iov_len);
    filled += parts[part].iov_len;
  }
  ssize_t done = keeps_place ? syscall(SYS_pwritev, file, parts, (long)count, (long)at, 0L) : syscall(SYS_writev, file, parts, (long)count);
  int error = errno;
  if (done > 0)
    note(WRITE, found.st_ino, (uint64_t)at, (uint64_t)found.st_size, before, had > (size_t)done ? (size_t)done : had, after, (size_t)done);
  free(before);
  free(after);
  pthread_mutex_unlock(&lock);
  errno = error;
  return done;
}

ssize_t write(int file, const void *bytes, size_t length) {
  struct iovec part = {(void *)bytes, length};
  struct stat found;
  if (!ours(file, &found)) return syscall(SYS_write, file, bytes, length);
  return writing(file, &part, 1, 0, 0);
}
ssize_t pwrite64(int file, const void *bytes, size_t length, off64_t at) {
  struct iovec part = {(void *)bytes, length};
  return writing(file, &part, 1, at, 1);
}
ssize_t pwrite(int file, const void *bytes, size_t length, off_t at) { return pwrite64(file, bytes, length, at); }
ssize_t writev(int file, const struct iovec *parts, int count) {
  struct stat found;
  if (!ours(file, &found)) return syscall(SYS_writev, file, parts, (long)count);
  return writing(file, parts, count, 0, 0);
}
ssize_t pwritev64(int file, const struct iovec *parts, int count, off64_t at) { return writing(file, parts, count, at, 1); }
ssize_t pwritev(int file, const struct iovec *parts, int count, off_t at) { return writing(file, parts, count, at, 1); }

int ftruncate64(int file, off64_t size) {
  struct stat found;
  if (!ours(file, &found)) return (int)syscall(SYS_ftruncate, file, size);
  pthread_mutex_lock(&lock);
  fstat(file, &found);
  size_t cut = found.st_size > size ? (size_t)(found.st_size - size) : 0;
  char *before = malloc(cut + 1);
  if (before == NULL) abort();
  size_t had = cut > 0 ? read_before(file, before, cut, size) : 0;
  int result = (int)syscall(SYS_ftruncate, file, size), error = errno;
  if (result == 0) note(TRUNCATE, found.st_ino, (uint64_t)size, (uint64_t)found.st_size, before, had, NULL, 0);
  free(before);
  pthread_mutex_unlock(&lock);
  errno = error;
  return result;
}
int ftruncate(int file, off_t size) { return ftruncate64(file, size); }

static int syncing(int file, long call) {
  struct stat found;
  if (!ours(file, &found)) {
    /* The folder itself has no slash behind it. */
    if (journal < 0 || fstat(file, &found) != 0 || !S_ISDIR(found.st_mode)) return (int)syscall(call, file);
  }
  /* Writes during the sync may be on the disk or not, so the journal only covers earlier ones. */
  pthread_mutex_lock(&lock);
  int result = (int)syscall(call, file), error = errno;
  /* A disk that lies about its syncs has none of the writes above. */
  if (result == 0 && !lies) note(SYNC, found.st_ino, 0, 0, NULL, 0, NULL, 0);
  pthread_mutex_unlock(&lock);
  errno = error;
  return result;
}
int fsync(int file) { return syncing(file, SYS_fsync); }
int fdatasync(int file) { return syncing(file, SYS_fdatasync); }

static uint64_t folder_of(const char *path) {
  char copy[4096];
  struct stat found;
  snprintf(copy, sizeof copy, "%s", path);
  return stat(dirname(copy), &found) == 0 ? found.st_ino : 0;
}

static int opening(int folder, const char *path, int flags, mode_t mode) {
  struct stat found;
  if ((flags & (O_CREAT | O_TRUNC)) == 0 || !inside(path)) return (int)syscall(SYS_openat, folder, path, flags, mode);
  pthread_mutex_lock(&lock);
  int is_new = lstat(path, &found) != 0;
  char *before = NULL;
  size_t had = 0;
  if (!is_new && (flags & O_TRUNC) != 0 && S_ISREG(found.st_mode)) {
    int reading = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    before = malloc((size_t)found.st_size + 1);
    if (before == NULL) abort();
    if (reading >= 0) had = read_before(reading, before, (size_t)found.st_size, 0);
    if (reading >= 0) syscall(SYS_close, reading);
  }
  int result = (int)syscall(SYS_openat, folder, path, flags, mode), error = errno;
  if (result >= 0 && is_new) note(CREATE, folder_of(path), 0, 0, NULL, 0, path, strlen(path) + 1);
  if (result >= 0 && had > 0) note(TRUNCATE, found.st_ino, 0, (uint64_t)found.st_size, before, had, NULL, 0);
  free(before);
  pthread_mutex_unlock(&lock);
  errno = error;
  return result;
}
#define MODE(flags)              \
  mode_t mode = 0;               \
  if ((flags) & O_CREAT) {       \
    va_list list;                \
    va_start(list, flags);       \
    mode = (mode_t)va_arg(list, int); \
    va_end(list);                \
  }
int open64(const char *path, int flags, ...) {
  MODE(flags)
  return opening(AT_FDCWD, path, flags, mode);
}
int open(const char *path, int flags, ...) {
  MODE(flags)
  return opening(AT_FDCWD, path, flags, mode);
}

/* A hard link to a file that is removed, so that it can come back; its name is in `kept_as`. */
static void keep(const char *path, char *kept_as, size_t length) {
  struct stat found;
  kept_as[0] = 0;
  if (lstat(path, &found) != 0 || !S_ISREG(found.st_mode)) return;
  char name[4096];
  snprintf(kept_as, length, "kept-%ld-%ld", (long)getpid(), ++kept);
  snprintf(name, sizeof name, "%s/%s", to, kept_as);
  if (syscall(SYS_linkat, AT_FDCWD, path, AT_FDCWD, name, 0) != 0) kept_as[0] = 0;
}

int rename(const char *from, const char *onto) {
  if (!inside(onto)) return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, onto, 0);
  pthread_mutex_lock(&lock);
  char text[9000], kept_as[64];
  keep(onto, kept_as, sizeof kept_as);
  int result = (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, onto, 0), error = errno;
  if (result == 0) {
    int length = snprintf(text, sizeof text, "%s%c%s%c%s", from, 0, onto, 0, kept_as);
    note(RENAME, folder_of(onto), 0, 0, NULL, 0, text, (size_t)length + 1);
  }
  pthread_mutex_unlock(&lock);
  errno = error;
  return result;
}

static int unlinking(int folder, const char *path, int flags) {
  if (folder != AT_FDCWD || flags != 0 || !inside(path)) return (int)syscall(SYS_unlinkat, folder, path, flags);
  pthread_mutex_lock(&lock);
  char text[9000], kept_as[64];
  keep(path, kept_as, sizeof kept_as);
  int result = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0), error = errno;
  if (result == 0) {
    int length = snprintf(text, sizeof text, "%s%c%s", path, 0, kept_as);
    note(UNLINK, folder_of(path), 0, 0, NULL, 0, text, (size_t)length + 1);
  }
  pthread_mutex_unlock(&lock);
  errno = error;
  return result;
}
int unlink(const char *path) { return unlinking(AT_FDCWD, path, 0); }
int unlinkat(int folder, const char *path, int flags) { return unlinking(folder, path, flags); }

int mkdir(const char *path, mode_t mode) {
  if (!inside(path)) return (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
  pthread_mutex_lock(&lock);
  int result = (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode), error = errno;
  if (result == 0) note(MKDIR, folder_of(path), 0, 0, NULL, 0, path, strlen(path) + 1);
  pthread_mutex_unlock(&lock);
  errno = error;
  return result;
}
