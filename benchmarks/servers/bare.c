/*
 * What the machine itself costs: a blocking socket that answers every datagram with fixed bytes, in C.
 * Usage: bare PORT
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/socket.h>

static const unsigned char REPLY[] = "\x64\x45\x12\x34\x00\x00\x00\x00\xc0\xffHello, world!";

int main(int count, char **words) {
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (count != 2) return 2;
    address.sin_port = htons((unsigned short)atoi(words[1]));
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address)) return 1;
    for (;;) {
        unsigned char data[2048];
        struct sockaddr_in from;
        socklen_t length = sizeof from;
        if (recvfrom(fd, data, sizeof data, 0, (struct sockaddr *)&from, &length) >= 0)
            sendto(fd, REPLY, sizeof REPLY - 1, 0, (struct sockaddr *)&from, length);
    }
}
