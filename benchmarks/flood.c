/*
 * A CoAP flood over UDP on the loopback interface: RATE datagrams a second for SECONDS, whatever the server
 * says to them, from SOURCES addresses; one line of JSON. Of each thousand, MALFORMED are no messages.
 *
 * The sources are addresses from 127.1.0.1 on: all of 127.0.0.0/8 is the machine's own, so a socket may send
 * from any of them (IP_PKTINFO), as a flood with forged sources does elsewhere. Answers come back to the same
 * socket, and are counted. RATE 0 sends as fast as the kernel takes it.
 *
 * Usage: flood PORT PATH SECONDS RATE SOURCES MALFORMED
 */
#define _GNU_SOURCE
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

enum { BATCH = 64, LONGEST = 300, FIRST_SOURCE = 0x7f010001, MOST_SOURCES = 10000000 };

static void die(const char *why) {
    fprintf(stderr, "flood: %s\n", why);
    exit(1);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double number(const char *text, double least, double most, const char *what) {
    char *rest;
    double value = strtod(text, &rest);
    if (*rest || !*text || value < least || value > most) die(what);
    return value;
}

/* The request that all are copies of, but for message ID and token; gives its length. */
static size_t buildRequest(uint8_t *request, const char *path) {
    size_t length = 8;
    int delta = 11;
    memcpy(request, "\x44\x01", 2);
    for (const char *segment = path; *segment; delta = 0) {
        size_t bytes = strcspn(segment, "/");
        if (bytes > 12 || length + bytes > LONGEST - 1) die("a path segment has at most 12 bytes");
        request[length++] = (uint8_t)(delta << 4 | (int)bytes);
        memcpy(request + length, segment, bytes);
        length += bytes;
        segment += bytes + (segment[bytes] == '/');
    }
    return length;
}

/* Another version, a token too long, an option that is cut short, a marker without a payload. */
static void spoil(uint8_t *data, size_t *length, long serial) {
    switch (serial % 4) {
    case 0: data[0] = 0x84; break;
    case 1: data[0] = 0x4f; break;
    case 2: data[*length - 1] = 0xee; data[8] = 0x5d; break;
    default: data[(*length)++] = 0xff; break;
    }
}

static long drain(int fd) {
    static uint8_t data[BATCH][LONGEST];
    static struct iovec vectors[BATCH];
    static struct mmsghdr messages[BATCH];
    for (int i = 0; i < BATCH; i++) {
        vectors[i] = (struct iovec){ data[i], LONGEST };
        messages[i].msg_hdr = (struct msghdr){ .msg_iov = &vectors[i], .msg_iovlen = 1 };
    }
    long all = 0;
    for (int count = BATCH; count == BATCH; all += count) {
        count = recvmmsg(fd, messages, BATCH, MSG_DONTWAIT, NULL);
        if (count < 0) break;
    }
    return all;
}

int main(int count, char **words) {
    static uint8_t data[BATCH][LONGEST + 1], request[LONGEST];
    static struct iovec vectors[BATCH];
    static struct mmsghdr messages[BATCH];
    static union { struct cmsghdr header; char room[CMSG_SPACE(sizeof(struct in_pktinfo))]; } control[BATCH];
    if (count != 7) die("usage: flood PORT PATH SECONDS RATE SOURCES MALFORMED");
    struct sockaddr_in target = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        .sin_port = htons((uint16_t)number(words[1], 1, 65535, "PORT is from 1 to 65535")) };
    size_t length = buildRequest(request, words[2]);
    double seconds = number(words[3], 0.01, 3600, "SECONDS is from 0.01 to 3600");
    double rate = number(words[4], 0, 1e8, "RATE is at least 0");
    long sources = (long)number(words[5], 1, MOST_SOURCES, "SOURCES is from 1 to 10000000");
    long malformed = (long)number(words[6], 0, 1000, "MALFORMED is from 0 to 1000");
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) die("socket");
    prctl(PR_SET_PDEATHSIG, SIGTERM);

    long sent = 0, failed = 0, answered = 0, spoiled = 0;
    double start = now(), at = start;
    while ((at = now()) - start < seconds) {
        long due = rate > 0 ? (long)((at - start) * rate) - sent - failed : BATCH;
        if (due < 1) {
            struct timespec pause = { 0, 200000 };
            answered += drain(fd);
            clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
            continue;
        }
        int wanted = due < BATCH ? (int)due : BATCH;
        for (int i = 0; i < wanted; i++) {
            long serial = sent + failed + i;
            size_t size = length;
            memcpy(data[i], request, length);
            data[i][2] = (uint8_t)(serial >> 8);
            data[i][3] = (uint8_t)serial;
            for (int k = 0; k < 4; k++) data[i][4 + k] = (uint8_t)(serial >> 8 * k);
            if (serial * 997 % 1000 < malformed) {
                spoil(data[i], &size, serial / 7);
                spoiled++;
            }
            vectors[i] = (struct iovec){ data[i], size };
            struct in_pktinfo from = { .ipi_spec_dst.s_addr = htonl((uint32_t)(FIRST_SOURCE + serial % sources)) };
            control[i].header = (struct cmsghdr){ .cmsg_level = IPPROTO_IP, .cmsg_type = IP_PKTINFO,
                .cmsg_len = CMSG_LEN(sizeof from) };
            memcpy(CMSG_DATA(&control[i].header), &from, sizeof from);
            messages[i].msg_hdr = (struct msghdr){ .msg_name = &target, .msg_namelen = sizeof target,
                .msg_iov = &vectors[i], .msg_iovlen = 1,
                .msg_control = control[i].room, .msg_controllen = sizeof control[i].room };
        }
        int done = sendmmsg(fd, messages, (unsigned)wanted, 0);
        if (done < 0) failed += wanted;
        else sent += done;
        answered += drain(fd);
    }
    double took = now() - start;
    struct timespec settling = { 0, 50000000 };
    clock_nanosleep(CLOCK_MONOTONIC, 0, &settling, NULL);
    answered += drain(fd);
    printf("{\"sent\": %ld, \"failed\": %ld, \"malformed\": %ld, \"answered\": %ld, \"seconds\": %.3f}\n",
        sent, failed, spoiled, answered, took);
    return 0;
}
