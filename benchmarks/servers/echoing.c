/*
 * The server under a client that is measured: answers every CoAP request at once with 2.05 and a short text,
 * under its own token, piggybacked where it was confirmable (RFC 7252 5.2). It takes nothing else apart.
 * Usage: echoing PORT
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { MAX_TOKEN = 8, CONTENT = 0x45 };

/* Content-Format 0, and the payload. */
static const unsigned char REST[] = "\xc0\xffHello, world!";

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
        ssize_t got = recvfrom(fd, data, sizeof data, 0, (struct sockaddr *)&from, &length);
        long token = data[0] & 15;
        if (got < 4 + token || token > MAX_TOKEN || !data[1] || data[1] >> 5) continue;
        data[0] |= (data[0] >> 4 & 3) ? 0 : 2 << 4;  /* NON stays NON; what confirms a CON is an ACK */
        data[1] = CONTENT;
        memcpy(data + 4 + token, REST, sizeof REST - 1);
        sendto(fd, data, (size_t)token + 4 + sizeof REST - 1, 0, (struct sockaddr *)&from, length);
    }
}
