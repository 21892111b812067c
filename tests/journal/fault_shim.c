/* A disk that fails at the n-th write: preloaded, it stands before libc's calls that change a file.
 *
 * Only files under the folder given to fault_arm count. From another language, by dlsym:
 *   fault_arm(folder, at, error, sticky)   fail the at-th call from now on with errno = error;
 *                                          sticky: and all after it. at = 0 only counts.
 *   fault_hits()                           how many calls have failed since the last fault_arm with
 *                                          an at: after fault_arm(…, 0, …) the disk is well again.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char folder[PATH_MAX];
static long calls, failing_call, hits;
static int failing_errno, keeps_failing;

void fault_arm(const char *under, long at, int error, int sticky)
{
    pthread_mutex_lock(&lock);
    snprintf(folder, sizeof folder, "%s/", under);
    calls = 0;
    failing_call = at;
    if (at) hits = 0;
    failing_errno = error;
    keeps_failing = sticky;
    pthread_mutex_unlock(&lock);
}

long fault_hits(void) { return hits; }

static int is_ours(int fd)
{
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0 || !folder[0]) return 0;
    path[length] = 0;
    return strncmp(path, folder, strlen(folder)) == 0;
}

/* Returns whether this call is to fail, having set errno. */
static int fails(int fd)
{
    int saved = errno, hit = 0;
    if (is_ours(fd)) {
        pthread_mutex_lock(&lock);
        calls++;
        hit = failing_call && (calls == failing_call || (keeps_failing && calls > failing_call));
        hits += hit;
        pthread_mutex_unlock(&lock);
    }
    errno = hit ? failing_errno : saved;
    return hit;
}

#define REAL(result, name, ...) \
    static result (*real)(__VA_ARGS__); \
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, name)

ssize_t write(int fd, const void *data, size_t size)
{
    REAL(ssize_t, "write", int, const void *, size_t);
    return fails(fd) ? -1 : real(fd, data, size);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
    REAL(ssize_t, "pwrite", int, const void *, size_t, off_t);
    return fails(fd) ? -1 : real(fd, data, size, at);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at)
{
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
    return fails(fd) ? -1 : real(fd, data, size, at);
}

int fsync(int fd)
{
    REAL(int, "fsync", int);
    return fails(fd) ? -1 : real(fd);
}

int fdatasync(int fd)
{
    REAL(int, "fdatasync", int);
    return fails(fd) ? -1 : real(fd);
}

int ftruncate(int fd, off_t size)
{
    REAL(int, "ftruncate", int, off_t);
    return fails(fd) ? -1 : real(fd, size);
}

int ftruncate64(int fd, off64_t size)
{
    REAL(int, "ftruncate64", int, off64_t);
    return fails(fd) ? -1 : real(fd, size);
}
