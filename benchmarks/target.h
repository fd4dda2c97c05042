/*
 * Where a load may go: the loopback interface and nowhere else; by as many sockets as the system allows.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

static struct sockaddr_storage loopback(const char *address, long port, socklen_t *length) {
    struct sockaddr_storage storage = { 0 };
    struct sockaddr_in *four = (struct sockaddr_in *)&storage;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&storage;
    if (inet_pton(AF_INET, address, &four->sin_addr) == 1 && ntohl(four->sin_addr.s_addr) >> 24 == 127) {
        four->sin_family = AF_INET;
        four->sin_port = htons((uint16_t)port);
        *length = sizeof *four;
    } else if (inet_pton(AF_INET6, address, &six->sin6_addr) == 1 && IN6_IS_ADDR_LOOPBACK(&six->sin6_addr)) {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons((uint16_t)port);
        *length = sizeof *six;
    } else {
        die("the address must be a loopback address, as 127.0.0.1 or ::1: this load is for no network");
    }
    return storage;
}

static void allowFiles(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files)) return;
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
}
