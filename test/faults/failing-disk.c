/*
 * Preloaded into a process by tests alone: makes its system calls on files fail as a disk's would.
 * OWNKEY_TEST_FAULTS names a file of rules, one a line, that is read anew whenever it changes:
 *   CALLS PART ERRNO FROM COUNT
 * CALLS: names joined by commas, or `any`. PART: text in the file's path, `*` for each. ERRNO: a number.
 * The matching calls from the FROM-th (1 is the first since the rules were read) fail, COUNT of them.
 * How many matched is written behind the rules file's name with `.count`, how many failed with `.failed`.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define RULES 16

struct rule {
  char calls[128];
  char part[256];
  int error;
  long from, count, seen;
};

static struct rule rules[RULES];
static int known, rules_file = -1, count_file = -1, failed_file = -1;
static long failed;
static struct timespec read_at;
static off_t read_size = -1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static long raw_open(const char *path, int flags) {
  return syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0600);
}

static int opened_beside(const char *path, const char *end) {
  char name[4096];
  snprintf(name, sizeof name, "%s%s", path, end);
  return raw_open(name, O_WRONLY | O_CREAT | O_TRUNC);
}

static void tell(int file, long number) {
  char text[32];
  int length = snprintf(text, sizeof text, "%-12ld\n", number);
  if (file >= 0) syscall(SYS_pwrite64, file, text, (size_t)length, 0L);
}

/* The rules as they stand now; the file is replaced by a rename, so its path is looked at each time. */
static void reread(void) {
  const char *path = getenv("OWNKEY_TEST_FAULTS");
  struct stat found;
  if (path == NULL || stat(path, &found) != 0) {
    known = 0;
    return;
  }
  if (found.st_size == read_size && found.st_mtim.tv_sec == read_at.tv_sec && found.st_mtim.tv_nsec == read_at.tv_nsec)
    return;
  read_at = found.st_mtim;
  read_size = found.st_size;
  rules_file = raw_open(path, O_RDONLY);
  if (rules_file < 0) return;
  char text[8192];
  long length = syscall(SYS_read, rules_file, text, sizeof text - 1);
  syscall(SYS_close, rules_file);
  text[length < 0 ? 0 : length] = 0;
  known = 0;
  failed = 0;
  char *rest = NULL;
  for (char *line = strtok_r(text, "\n", &rest); line != NULL && known < RULES; line = strtok_r(NULL, "\n", &rest)) {
    struct rule *rule = &rules[known];
    rule->seen = 0;
    if (sscanf(line, "%127s %255s %d %ld %ld", rule->calls, rule->part, &rule->error, &rule->from, &rule->count) == 5) known++;
  }
  if (count_file < 0) count_file = opened_beside(path, ".count");
  if (failed_file < 0) failed_file = opened_beside(path, ".failed");
  tell(count_file, 0);
  tell(failed_file, 0);
}

static int names(const char *calls, const char *call) {
  if (strcmp(calls, "any") == 0) return 1;
  size_t length = strlen(call);
  for (const char *at = calls; (at = strstr(at, call)) != NULL; at += length)
    if ((at == calls || at[-1] == ',') && (at[length] == 0 || at[length] == ',')) return 1;
  return 0;
}

/* The errno with which this call fails, or 0. */
static int fault(const char *call, const char *path) {
  int error = 0;
  pthread_mutex_lock(&lock);
  reread();
  for (int index = 0; index < known && error == 0; index++) {
    struct rule *rule = &rules[index];
    if (!names(rule->calls, call) || (strcmp(rule->part, "*") != 0 && strstr(path, rule->part) == NULL)) continue;
    rule->seen++;
    tell(count_file, rule->seen);
    if (rule->seen >= rule->from && rule->seen - rule->from < rule->count) error = rule->error;
  }
  if (error != 0) tell(failed_file, ++failed);
  pthread_mutex_unlock(&lock);
  return error;
}

static int fault_of(const char *call, int file) {
  if (getenv("OWNKEY_TEST_FAULTS") == NULL) return 0;
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  long length = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
  /* Only files: sockets and pipes are not on a disk. */
  if (length <= 0 || path[0] != '/' || strncmp(path, "/dev/", 5) == 0 || strncmp(path, "/proc/", 6) == 0) return 0;
  path[length] = 0;
  return fault(call, path);
}

#define REAL(name) \
  static __typeof__(&name) real; \
  if (real == NULL) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)
#define FAIL_IF(expression) \
  do { \
    int error = (expression); \
    if (error != 0) { \
      errno = error; \
      return -1; \
    } \
  } while (0)

ssize_t write(int file, const void *bytes, size_t length) {
  REAL(write);
  FAIL_IF(fault_of("write", file));
  return real(file, bytes, length);
}

ssize_t pwrite(int file, const void *bytes, size_t length, off_t at) {
  REAL(pwrite);
  FAIL_IF(fault_of("write", file));
  return real(file, bytes, length, at);
}

ssize_t pwrite64(int file, const void *bytes, size_t length, off64_t at) {
  REAL(pwrite64);
  FAIL_IF(fault_of("write", file));
  return real(file, bytes, length, at);
}

ssize_t writev(int file, const struct iovec *parts, int count) {
  REAL(writev);
  FAIL_IF(fault_of("write", file));
  return real(file, parts, count);
}

ssize_t pwritev(int file, const struct iovec *parts, int count, off_t at) {
  REAL(pwritev);
  FAIL_IF(fault_of("write", file));
  return real(file, parts, count, at);
}

ssize_t pwritev64(int file, const struct iovec *parts, int count, off64_t at) {
  REAL(pwritev64);
  FAIL_IF(fault_of("write", file));
  return real(file, parts, count, at);
}

int fsync(int file) {
  REAL(fsync);
  FAIL_IF(fault_of("sync", file));
  return real(file);
}

int fdatasync(int file) {
  REAL(fdatasync);
  FAIL_IF(fault_of("sync", file));
  return real(file);
}

int ftruncate(int file, off_t length) {
  REAL(ftruncate);
  FAIL_IF(fault_of("truncate", file));
  return real(file, length);
}

int ftruncate64(int file, off64_t length) {
  REAL(ftruncate64);
  FAIL_IF(fault_of("truncate", file));
  return real(file, length);
}

int rename(const char *from, const char *to) {
  REAL(rename);
  if (getenv("OWNKEY_TEST_FAULTS") != NULL) FAIL_IF(fault("rename", to));
  return real(from, to);
}

int unlink(const char *path) {
  REAL(unlink);
  if (getenv("OWNKEY_TEST_FAULTS") != NULL) FAIL_IF(fault("unlink", path));
  return real(path);
}

int mkdir(const char *path, mode_t mode) {
  REAL(mkdir);
  if (getenv("OWNKEY_TEST_FAULTS") != NULL) FAIL_IF(fault("mkdir", path));
  return real(path, mode);
}

static int fault_at_open(const char *path, int flags) {
  if (getenv("OWNKEY_TEST_FAULTS") == NULL || (flags & (O_WRONLY | O_RDWR | O_CREAT)) == 0) return 0;
  if (strncmp(path, "/dev/", 5) == 0 || strncmp(path, "/proc/", 6) == 0) return 0;
  return fault("open", path);
}

static mode_t mode_of(int flags, va_list rest) {
  return (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0;
}

int open(const char *path, int flags, ...) {
  REAL(open);
  va_list rest;
  va_start(rest, flags);
  mode_t mode = mode_of(flags, rest);
  va_end(rest);
  FAIL_IF(fault_at_open(path, flags));
  return real(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
  REAL(open64);
  va_list rest;
  va_start(rest, flags);
  mode_t mode = mode_of(flags, rest);
  va_end(rest);
  FAIL_IF(fault_at_open(path, flags));
  return real(path, flags, mode);
}
