/*
 * A crowd of observers over the loopback interface (RFC 7641): SOCKETS sockets observe PATH, each with a
 * relation of its own; then a value is PUT there, and the next one as soon as each observer was told the
 * one before, until REQUESTS notifications came or SECONDS have passed. One line of JSON, in which a
 * request is a notification. Before that, for at most half as long, WARMUP notifications not measured.
 *
 * Every notification is checked: its token, its Observe, its payload, and that it comes once. A
 * confirmable one is acknowledged at once; nothing is lost on loopback but by a full buffer, so one that
 * comes again is a finding.
 *
 * The load sleeps PAUSE microseconds between looks at its sockets, as load.c does, for the same reason.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "coap.h"
#include "settings.h"
#include "measure.h"
#include "target.h"

enum { GET = 1, PUT = 3, TOKEN_LENGTH = 4, MAX_DATAGRAM = 2048, MAX_EVENTS = 256, VALUE_LENGTH = 8 };

/* What can become of a notification, or arrive unasked for; the names are those in the JSON. */
enum outcome { OK, MALFORMED, NOT_OBSERVING, WRONG_TOKEN, WRONG_CODE, WRONG_PAYLOAD, REPEATED, REFUSED, TIMED_OUT, OUTCOMES };
static const char *const OUTCOME_NAMES[OUTCOMES] = {
    "ok", "malformed", "notObserving", "wrongToken", "wrongCode", "wrongPayload", "repeated", "refused", "timedOut"
};

struct observer { int fd; bool isTold; };

static struct observer *observers;  /* the last one is who puts: it observes nothing */
static int poller;
static long told, finished;
static long counts[OUTCOMES];
static char value[VALUE_LENGTH + 3];
static uint16_t serial;
static uint64_t putAt;

static void openSockets(void) {
    socklen_t length;
    struct sockaddr_storage target = loopback(settings.address, settings.port, &length);
    poller = epoll_create1(0);
    allowFiles();
    /* A port may be one of an earlier run's: its requests must not be that one's over again. */
    srandom((unsigned)(readClock(CLOCK_REALTIME) ^ (uint64_t)getpid()));
    serial = (uint16_t)random();
    for (long i = 0; i <= settings.sockets; i++) {
        int fd = socket(target.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        struct epoll_event event = { .events = EPOLLIN, .data.u32 = (uint32_t)i };
        if (fd < 0 || connect(fd, (struct sockaddr *)&target, length) || epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event))
            die("socket");
        observers[i] = (struct observer){ .fd = fd, .isTold = true };
    }
}

/* Asks with a confirmable request: to observe, to observe no more, or to put the value. */
enum asked { REGISTER, DEREGISTER, CHANGE };
static void ask(long number, enum asked what) {
    uint8_t data[MAX_DATAGRAM] = { 1 << 6 | CON << 4 | TOKEN_LENGTH, what == CHANGE ? PUT : GET, (uint8_t)(serial >> 8), (uint8_t)serial,
        (uint8_t)(number >> 8), (uint8_t)number };
    uint8_t *end = data + 4 + TOKEN_LENGTH;
    int delta = URI_PATH;
    serial++;
    if (what != CHANGE) {
        end = putOption(end, OBSERVE, "\1", what == DEREGISTER);
        delta -= OBSERVE;
    }
    if (settings.origin && what != CHANGE) end = putProxyUri(end, OBSERVE);
    else end = putOption(end, delta, settings.path, strlen(settings.path));
    if (what == CHANGE) {
        *end++ = 0xff;
        memcpy(end, value, VALUE_LENGTH);
        end += VALUE_LENGTH;
    }
    if (send(observers[number].fd, data, (size_t)(end - data), 0) < 0) counts[REFUSED]++;
}

static enum outcome judge(long number, const struct parsed *answer) {
    const uint8_t *token = answer->token;
    if (answer->tokenLength != TOKEN_LENGTH || (token[0] << 8 | token[1]) != number) return WRONG_TOKEN;
    if (answer->code >> 5 != 2) return WRONG_CODE;
    if (number == settings.sockets) return OK;
    if (answer->observe < 0) return NOT_OBSERVING;
    if (observers[number].isTold) return REPEATED;
    if (answer->payloadLength != VALUE_LENGTH || memcmp(answer->payload, value, VALUE_LENGTH)) return WRONG_PAYLOAD;
    return OK;
}

static void receive(long number, const uint8_t *data, long length, uint64_t now) {
    struct parsed answer;
    bool isPutter = number == settings.sockets;
    if (!parse(data, length, &answer)) {
        counts[MALFORMED]++;
        return;
    }
    if (answer.type == CON) {
        uint8_t acknowledgement[4] = { 1 << 6 | ACK << 4, 0, data[2], data[3] };
        if (send(observers[number].fd, acknowledgement, 4, 0) < 0) counts[REFUSED]++;
    }
    if (!answer.code && answer.type == ACK) return;  /* the response comes apart */
    enum outcome outcome = judge(number, &answer);
    if (outcome != OK || !isPutter) counts[outcome]++;
    if (outcome != OK || isPutter) return;
    observers[number].isTold = true;
    told++;
    finished++;
    keepLatency(now - putAt);
}

static void readSockets(void) {
    static uint8_t data[MAX_DATAGRAM];
    struct epoll_event events[MAX_EVENTS];
    int count = epoll_wait(poller, events, MAX_EVENTS, 10);
    uint64_t now = readClock(CLOCK_MONOTONIC);
    for (int i = 0; i < count; i++) {
        long number = events[i].data.u32;
        ssize_t length = recv(observers[number].fd, data, MAX_DATAGRAM, MSG_DONTWAIT);
        if (length >= 0) receive(number, data, length, now);
        else if (errno == ECONNREFUSED) die("nobody listens");
    }
}

/* Waits until all observers were told; false if that took too long. */
static bool awaitAll(void) {
    struct timespec pause = { 0, settings.pause * 1000 };
    uint64_t begin = readClock(CLOCK_MONOTONIC);
    while (told < settings.sockets) {
        if (settings.pause) clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
        readSockets();
        if (readClock(CLOCK_MONOTONIC) - begin > (uint64_t)(settings.timeout * 1e9)) {
            counts[TIMED_OUT] += settings.sockets - told;
            return false;
        }
    }
    return true;
}

/* The first notification is the answer to the request; what it says nobody knows. */
static void observeAll(void) {
    static uint8_t data[MAX_DATAGRAM];
    for (long i = 0; i < settings.sockets; i++) {
        ask(i, REGISTER);
        struct epoll_event event;
        struct parsed answer;
        ssize_t length = -1;
        uint64_t begin = readClock(CLOCK_MONOTONIC);
        do {
            if (epoll_wait(poller, &event, 1, 100) == 1) length = recv(observers[i].fd, data, MAX_DATAGRAM, MSG_DONTWAIT);
        } while (length < 0 && readClock(CLOCK_MONOTONIC) - begin < (uint64_t)(settings.timeout * 1e9));
        if (length < 0 || !parse(data, length, &answer) || answer.code >> 5 != 2 || answer.observe < 0)
            die("a request to observe was not granted");
    }
}

/* Puts one value after the other; gives the time at which the last observer was told the last. */
static uint64_t drive(long notifications, double seconds) {
    static unsigned number;
    if (!number) number = (unsigned)random();
    uint64_t start = readClock(CLOCK_MONOTONIC), now = start;
    long goal = finished + notifications;
    while (finished < goal && now - start < (uint64_t)(seconds * 1e9)) {
        snprintf(value, sizeof value, "%0*u", VALUE_LENGTH, ++number % 100000000);
        told = 0;
        for (long i = 0; i < settings.sockets; i++) observers[i].isTold = false;
        putAt = readClock(CLOCK_MONOTONIC);
        ask(settings.sockets, CHANGE);
        if (!awaitAll()) break;
        now = readClock(CLOCK_MONOTONIC);
    }
    return now;
}

int main(int count, char **words) {
    readOptions(count, words);
    prctl(PR_SET_TIMERSLACK, 1000UL);
    stayOnCPU();
    observers = calloc((size_t)settings.sockets + 1, sizeof *observers);
    latencies = calloc((size_t)settings.requests, sizeof *latencies);
    if (!observers || !latencies) die("memory");
    openSockets();
    observeAll();
    drive(settings.warmup, settings.seconds / 2);
    struct moment begin = look(finished);
    measuring = true;
    uint64_t last = drive(settings.requests, settings.seconds);
    struct moment end = look(finished);
    end.at = last;
    for (long i = 0; i < settings.sockets; i++) ask(i, DEREGISTER);
    report(&begin, &end, 0, 0, OUTCOME_NAMES, counts, OUTCOMES);
    for (int i = 1; i < OUTCOMES; i++) if (counts[i]) return 1;
    return 0;
}
