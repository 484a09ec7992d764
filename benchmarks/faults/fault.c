/* Faults at the n-th system call that changes something under a path.

   Preloaded into a process (LD_PRELOAD, Linux), it stands between a program and the C library. A
   program arms it, by ctypes for example, with fault_arm(prefix, mode, call, error): calls under
   prefix are counted from 1, and at the chosen one the fault happens. fault_disarm() ends that and
   returns how many calls there were. Counted: opening to write, writing, fsync, closing what was
   written, locking, renaming, unlinking, making and removing folders, changing owner, mode, size.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

enum mode {
  COUNT,       /* only count */
  KILL_BEFORE, /* SIGKILL instead of the call */
  KILL_AFTER,  /* SIGKILL once it is done */
  KILL_MIDWAY, /* half of a write, then SIGKILL; other calls: instead of them */
  FAIL_ONCE,   /* this call alone fails with the error */
  FAIL_ON,     /* and so do all later ones that need room: a full or a broken disk */
  FAIL_MIDWAY  /* half of a write, which is reported; what follows fails as with FAIL_ON */
};

enum need { ROOM, NO_ROOM };
enum verdict { GO_ON, FAIL, THEN_DIE, HALF };

static char prefix[1024];
static enum mode mode;
static int armed, error_number;
static long target, calls;

void fault_arm(const char* path, int what, long call, int error) {
  strncpy(prefix, path, sizeof prefix - 1);
  mode = (enum mode)what;
  target = call;
  error_number = error;
  calls = 0;
  armed = 1;
}

long fault_disarm(void) {
  armed = 0;
  return calls;
}

static int below_prefix(const char* path) { return !strncmp(path, prefix, strlen(prefix)); }

static int path_counts(const char* path) {
  char whole[8192];
  size_t length;
  if (!armed || !path) return 0;
  if (path[0] == '/') return below_prefix(path);
  if (syscall(SYS_getcwd, whole, 4096) < 0) return 0;
  length = strlen(whole);
  snprintf(whole + length, sizeof whole - length, "/%s", path);
  return below_prefix(whole);
}

static int file_counts(int descriptor) {
  char link[64], path[4096];
  ssize_t length;
  if (!armed) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  length = syscall(SYS_readlink, link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return below_prefix(path);
}

__attribute__((noreturn)) static void die(void) {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

/* Count a call and say what becomes of it. */
static enum verdict judge(enum need need, int is_write) {
  int now = ++calls == target, later = target > 0 && calls > target;
  if (later && need == ROOM && (mode == FAIL_ON || mode == FAIL_MIDWAY)) return FAIL;
  if (!now) return GO_ON;
  switch (mode) {
    case KILL_BEFORE:
      die();
    case KILL_AFTER:
      return THEN_DIE;
    case KILL_MIDWAY:
      if (!is_write) die();
      return HALF;
    case FAIL_MIDWAY:
      return is_write ? HALF : FAIL;
    case FAIL_ONCE:
    case FAIL_ON:
      return FAIL;
    default:
      return GO_ON;
  }
}

static int failed(void) {
  errno = error_number;
  return -1;
}

#define REAL(name)               \
  static __typeof__(&name) real; \
  if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

/* The body of a wrapper: the call, or the fault in its place. */
#define JUDGED(counts, need, call)        \
  do {                                    \
    enum verdict verdict;                 \
    int result;                           \
    if (!(counts)) return call;           \
    verdict = judge(need, 0);             \
    if (verdict == FAIL) return failed(); \
    result = call;                        \
    if (verdict == THEN_DIE) die();       \
    return result;                        \
  } while (0)

#define OPENS_TO_CHANGE(flags) ((flags) & (O_CREAT | O_WRONLY | O_RDWR))

#define MODE_ARGUMENT                 \
  mode_t permissions;                 \
  va_list list;                       \
  va_start(list, flags);              \
  permissions = va_arg(list, mode_t); \
  va_end(list)

int open(const char* path, int flags, ...) {
  MODE_ARGUMENT;
  REAL(open);
  JUDGED(OPENS_TO_CHANGE(flags) && path_counts(path), ROOM, real(path, flags, permissions));
}

int open64(const char* path, int flags, ...) {
  MODE_ARGUMENT;
  REAL(open64);
  JUDGED(OPENS_TO_CHANGE(flags) && path_counts(path), ROOM, real(path, flags, permissions));
}

ssize_t write(int descriptor, const void* content, size_t size) {
  enum verdict verdict;
  ssize_t result;
  REAL(write);
  if (!file_counts(descriptor)) return real(descriptor, content, size);
  verdict = judge(ROOM, 1);
  if (verdict == FAIL) return failed();
  result = real(descriptor, content, verdict == HALF ? (size + 1) / 2 : size);
  if (verdict == THEN_DIE || (verdict == HALF && mode == KILL_MIDWAY)) die();
  return result;
}

int fsync(int descriptor) {
  REAL(fsync);
  JUDGED(file_counts(descriptor), ROOM, real(descriptor));
}

int close(int descriptor) {
  enum verdict verdict;
  int result;
  REAL(close);
  if (!file_counts(descriptor) || !OPENS_TO_CHANGE(fcntl(descriptor, F_GETFL))) {
    return real(descriptor);
  }
  verdict = judge(NO_ROOM, 0);
  result = real(descriptor); /* also where it reports an error */
  if (verdict == THEN_DIE) die();
  return verdict == FAIL ? failed() : result;
}

int flock(int descriptor, int operation) {
  REAL(flock);
  JUDGED(file_counts(descriptor), NO_ROOM, real(descriptor, operation));
}

int fchmod(int descriptor, mode_t permissions) {
  REAL(fchmod);
  JUDGED(file_counts(descriptor), NO_ROOM, real(descriptor, permissions));
}

int fchown(int descriptor, uid_t owner, gid_t group) {
  REAL(fchown);
  JUDGED(file_counts(descriptor), NO_ROOM, real(descriptor, owner, group));
}

int ftruncate(int descriptor, off_t size) {
  REAL(ftruncate);
  JUDGED(file_counts(descriptor), ROOM, real(descriptor, size));
}

int rename(const char* from, const char* to) {
  REAL(rename);
  JUDGED(path_counts(to), NO_ROOM, real(from, to));
}

int unlink(const char* path) {
  REAL(unlink);
  JUDGED(path_counts(path), NO_ROOM, real(path));
}

int mkdir(const char* path, mode_t permissions) {
  REAL(mkdir);
  JUDGED(path_counts(path), ROOM, real(path, permissions));
}

int rmdir(const char* path) {
  REAL(rmdir);
  JUDGED(path_counts(path), NO_ROOM, real(path));
}
