/*
 * A closed-loop CoAP load over UDP on the loopback interface: WINDOW requests in flight over SOCKETS
 * sockets until REQUESTS are answered or SECONDS have passed, each answer verified, one line of JSON. Before
 * that, for at most half as long, WARMUP requests that are not measured.
 *
 * RFC 7252 sections 3 (the datagram), 4.4 (message IDs), 5.2 (piggybacked and separate responses) and
 * 5.3 (tokens). Nothing is retransmitted: loopback loses nothing, so what is late is a finding.
 *
 * With --size N each request is for a block of a body of N bytes (block.h): a body after the other in each
 * slot of the window, all blocks of one by the same socket and token, and all that is said of requests
 * holds for blocks. A body that went wrong is begun anew.
 *
 * A request takes the next socket (or BURST requests do), so that a server sees SOCKETS peers in turn.
 * Its token names its slot in the window; its message ID is the next of its socket, from a random start,
 * so no ID is used twice while there are fewer than 65,536 requests per socket.
 *
 * After a round that brought few answers the load sleeps PAUSE microseconds instead of waiting in the
 * kernel: a server on the same machine would pay for waking it with each answer, which no network asks
 * of a server, and a slow server would pay more often than a fast one. The window keeps it busy meanwhile.
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
#include <time.h>
#include <unistd.h>

#include "coap.h"
#include "block.h"
#include "settings.h"
#include "measure.h"
#include "target.h"

enum { TOKEN_LENGTH = 4, MAX_DATAGRAM = 2048, BATCH = 64 };

/* What can become of a request, or arrive unasked for; the names are those in the JSON. */
enum outcome {
    OK, MALFORMED, WRONG_TYPE, WRONG_TOKEN, WRONG_ID, WRONG_CODE, WRONG_BLOCK, WRONG_ETAG,
    WRONG_PAYLOAD, RESET, REFUSED, SEND_FAILED, TIMED_OUT, OUTCOMES
};
static const char *const OUTCOME_NAMES[OUTCOMES] = {
    "ok", "malformed", "wrongType", "wrongToken", "wrongID", "wrongCode", "wrongBlock", "wrongETag",
    "wrongPayload", "reset", "refused", "sendFailed", "timedOut"
};

struct slot {
    uint64_t sentAt;
    int32_t next, peer;
    uint16_t messageID, serial;
    bool busy;
    struct transfer transfer;
};
struct peer { int fd; uint16_t nextID; int32_t oldest, newest, busy; }; /* a queue of its busy slots */

static struct slot *slots;
static struct peer *peers;
static int32_t *idle;  /* the slots that wait to be sent again */
static long idleCount, busyCount, nextRequest, finished, separate, bodies;
static long quota;  /* requests that may still be sent */
static long counts[OUTCOMES];
static uint8_t request[MAX_DATAGRAM];
static long requestLength;

/* The request that all are copies of, but for message ID and token. */
static void buildRequest(void) {
    uint8_t *end = request + 4 + TOKEN_LENGTH;
    int delta = URI_PATH;
    size_t payload = settings.payload ? strlen(settings.payload) : 0;
    if (strlen(settings.path) + payload > MAX_DATAGRAM - 600) die("path and payload are too long");
    request[0] = (uint8_t)(1 << 6 | (settings.non ? NON : CON) << 4 | TOKEN_LENGTH);
    request[1] = (uint8_t)settings.code;
    if (settings.origin) end = putProxyUri(end, 0);
    for (const char *segment = settings.origin ? "" : settings.path; *segment; delta = 0) {
        size_t length = strcspn(segment, "/");
        if (length > 255) die("a path segment has at most 255 bytes");
        end = putOption(end, delta, segment, length);
        segment += length + (segment[length] == '/');
    }
    if (payload && settings.size) die("--size is for requests without a payload");
    if (payload) {
        *end++ = 0xff;
        memcpy(end, settings.payload, payload);
        end += payload;
    }
    requestLength = end - request;
}

static void unlinkSlot(int32_t number) {
    struct peer *peer = &peers[slots[number].peer];
    int32_t *link = &peer->oldest, before = -1;
    while (*link != number) {
        before = *link;
        link = &slots[before].next;
    }
    *link = slots[number].next;
    if (peer->newest == number) peer->newest = before;
    peer->busy--;
}

static void finish(int32_t number, enum outcome outcome, uint64_t now) {
    uint64_t took = now - slots[number].sentAt;
    unlinkSlot(number);
    if (settings.size && outcome == OK) bodies += advance(&slots[number].transfer, settings.size);
    else slots[number].transfer.next = 0;
    slots[number].busy = false;
    idle[idleCount++] = number;
    busyCount--;
    finished++;
    counts[outcome]++;
    if (outcome == OK) keepLatency(took);
}

/* The slot of this peer that a message ID belongs to, for what carries no token; -1 if none. */
static int32_t slotOfID(const struct peer *peer, uint16_t messageID) {
    int32_t number = peer->oldest;
    while (number >= 0 && slots[number].messageID != messageID) number = slots[number].next;
    return number;
}

static int32_t slotOfToken(const struct parsed *answer, int32_t peer) {
    const uint8_t *token = answer->token;
    long number = token[0] << 8 | token[1];
    if (answer->tokenLength != TOKEN_LENGTH || number >= settings.window) return -1;
    struct slot *slot = &slots[number];
    return slot->busy && slot->peer == peer && slot->serial == (token[2] << 8 | token[3]) ? (int32_t)number : -1;
}

/* Is this response's type one that RFC 7252 section 5.2 allows here? A separate CON is acknowledged. */
static enum outcome judgeType(const struct parsed *answer, const struct slot *slot) {
    if (answer->type == ACK) return settings.non ? WRONG_TYPE : answer->messageID == slot->messageID ? OK : WRONG_ID;
    if (answer->type == CON) {
        uint16_t id = answer->messageID;
        uint8_t acknowledgement[4] = { 1 << 6 | ACK << 4, 0, (uint8_t)(id >> 8), (uint8_t)id };
        if (send(peers[slot->peer].fd, acknowledgement, 4, 0) < 0) counts[SEND_FAILED]++;
    }
    separate += !settings.non;
    return OK;
}

static enum outcome judgeBlock(const struct parsed *answer, struct transfer *transfer) {
    if (!isBlockAsked(answer, transfer, settings.size)) return WRONG_BLOCK;
    if (!isSameBody(answer, transfer)) return WRONG_ETAG;
    return isContentRight(answer, transfer, settings.size) ? OK : WRONG_PAYLOAD;
}

static void receive(int32_t peer, const uint8_t *data, long length, uint64_t now) {
    struct parsed answer;
    int32_t number;
    enum outcome outcome = OK;
    if (!parse(data, length, &answer)) {
        counts[MALFORMED]++;
        return;
    }
    if (settings.canned) {
        number = peers[peer].oldest;
    } else if (!answer.code) {
        number = slotOfID(&peers[peer], answer.messageID);
        if (number >= 0 && answer.type == RST) finish(number, RESET, now);
        else if (number < 0 || answer.type != ACK) counts[WRONG_ID]++;
        return;
    } else {
        number = slotOfToken(&answer, peer);
    }
    if (number < 0) {
        counts[WRONG_TOKEN]++;
        return;
    }
    if (!settings.canned) outcome = judgeType(&answer, &slots[number]);
    if (outcome == OK && answer.code >> 5 != settings.expectClass) outcome = WRONG_CODE;
    if (outcome == OK && settings.expect && (answer.payloadLength != (long)strlen(settings.expect)
            || memcmp(answer.payload, settings.expect, (size_t)answer.payloadLength)))
        outcome = WRONG_PAYLOAD;
    if (outcome == OK && settings.size && !settings.canned) outcome = judgeBlock(&answer, &slots[number].transfer);
    finish(number, outcome, now);
}

/* Nobody listens any more: the run ends, and what was in flight is lost. */
static void refuse(void) {
    uint64_t now = readClock(CLOCK_MONOTONIC);
    quota = 0;
    for (int32_t i = 0; i < settings.window; i++)
        if (slots[i].busy) finish(i, REFUSED, now);
}

static void readPeer(int32_t peer) {
    static uint8_t data[BATCH][MAX_DATAGRAM];
    static struct iovec vectors[BATCH];
    static struct mmsghdr messages[BATCH];
    for (int i = 0; i < BATCH && !vectors[i].iov_len; i++) {
        vectors[i] = (struct iovec){ data[i], MAX_DATAGRAM };
        messages[i].msg_hdr = (struct msghdr){ .msg_iov = &vectors[i], .msg_iovlen = 1 };
    }
    int32_t busy = peers[peer].busy;  /* asking for more would cost a look into the empty queue */
    unsigned wanted = busy < 1 ? 1 : busy < BATCH ? (unsigned)busy : BATCH;
    int count;
    if (wanted == 1) {  /* recv costs a sixth less than recvmmsg for one */
        ssize_t length = recv(peers[peer].fd, data[0], MAX_DATAGRAM, MSG_DONTWAIT);
        messages[0].msg_len = (unsigned)length;
        count = length < 0 ? -1 : 1;
    } else {
        count = recvmmsg(peers[peer].fd, messages, wanted, MSG_DONTWAIT, NULL);
    }
    uint64_t now = readClock(CLOCK_MONOTONIC);
    for (int i = 0; i < count; i++) receive(peer, data[i], messages[i].msg_len, now);
    if (count < 0 && errno == ECONNREFUSED) refuse();
}

/* Makes a slot busy with its next request, at the end of the peer's queue. */
static struct slot *occupy(int32_t number, int32_t peer, uint64_t now) {
    struct slot *slot = &slots[number];
    struct peer *at = &peers[peer];
    struct transfer transfer = slot->transfer;
    uint16_t serial = (uint16_t)(slot->serial + !transfer.next);  /* one token for each body */
    *slot = (struct slot){ .sentAt = now, .next = -1, .peer = peer, .messageID = at->nextID++,
                           .serial = serial, .busy = true, .transfer = transfer };
    if (at->oldest < 0) at->oldest = number;
    else slots[at->newest].next = number;
    at->newest = number;
    at->busy++;
    busyCount++;
    return slot;
}

/* Writes the request of a slot; gives its length. */
static size_t writeRequest(uint8_t *data, int32_t number, const struct slot *slot) {
    memcpy(data, request, (size_t)requestLength);
    data[2] = (uint8_t)(slot->messageID >> 8);
    data[3] = (uint8_t)slot->messageID;
    data[4] = (uint8_t)(number >> 8);
    data[5] = (uint8_t)number;
    data[6] = (uint8_t)(slot->serial >> 8);
    data[7] = (uint8_t)slot->serial;
    if (!settings.size) return (size_t)requestLength;
    return (size_t)(putBlock2(data + requestLength, URI_PATH, slot->transfer.next) - data);
}

/* Sends up to COUNT idle slots on one peer's socket in one call. */
static void sendBatch(int32_t peer, int count) {
    static uint8_t data[BATCH][MAX_DATAGRAM];
    struct iovec vectors[BATCH];
    struct mmsghdr messages[BATCH];
    uint64_t now = readClock(CLOCK_MONOTONIC);
    int32_t batch[BATCH];
    for (int i = 0; i < count; i++) {
        int32_t number = batch[i] = idle[--idleCount];
        vectors[i] = (struct iovec){ data[i], writeRequest(data[i], number, occupy(number, peer, now)) };
        messages[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &vectors[i], .msg_iovlen = 1 } };
    }
    int sent, fd = peers[peer].fd;
    if (count == 1) sent = send(fd, data[0], vectors[0].iov_len, 0) < 0 ? -1 : 1;
    else sent = sendmmsg(fd, messages, (unsigned)count, 0);
    if (sent < 0 && errno == ECONNREFUSED) refuse();
    else for (int i = sent < 0 ? 0 : sent; i < count; i++) finish(batch[i], SEND_FAILED, now);
}

static void sendIdle(void) {
    while (idleCount && quota) {
        const struct slot *slot = &slots[idle[idleCount - 1]];
        bool isContinued = slot->transfer.next;
        long count = settings.size ? 1 : settings.burst - nextRequest % settings.burst;
        if (count > idleCount) count = idleCount;
        if (count > quota) count = quota;
        if (count > BATCH) count = BATCH;
        int32_t peer = isContinued ? slot->peer : (int32_t)(nextRequest / settings.burst % settings.sockets);
        if (!isContinued) nextRequest += count;
        quota -= count;
        sendBatch(peer, (int)count);
    }
}

static void expire(uint64_t now) {
    for (int32_t i = 0; i < settings.window; i++)
        if (slots[i].busy && now - slots[i].sentAt > (uint64_t)(settings.timeout * 1e9)) finish(i, TIMED_OUT, now);
}

static int openPeers(void) {
    socklen_t length;
    struct sockaddr_storage target = loopback(settings.address, settings.port, &length);
    int poller = epoll_create1(0);
    allowFiles();
    srandom((unsigned)(readClock(CLOCK_REALTIME) ^ (uint64_t)getpid()));
    for (long i = 0; i < settings.sockets; i++) {
        int fd = socket(target.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        struct epoll_event event = { .events = EPOLLIN, .data.u32 = (uint32_t)i };
        if (fd < 0 || connect(fd, (struct sockaddr *)&target, length) || epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event))
            die("socket");
        peers[i] = (struct peer){ .fd = fd, .nextID = (uint16_t)random(), .oldest = -1, .newest = -1 };
    }
    return poller;
}

/*
 * Keeps the window full until so many requests were sent or so many seconds have passed, and waits for
 * the answers. Gives the time of the last.
 */
static uint64_t drive(int poller, long requests, double seconds) {
    struct epoll_event events[256];
    struct timespec pause = { 0, settings.pause * 1000 };
    uint64_t now = readClock(CLOCK_MONOTONIC), start = now, lastExpiry = now;
    long before = finished;
    quota = requests;
    while (quota || busyCount) {
        sendIdle();
        if (settings.pause && finished - before < settings.window / 4)
            clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
        before = finished;
        int count = epoll_wait(poller, events, 256, 10);
        for (int i = 0; i < count; i++) readPeer((int32_t)events[i].data.u32);
        now = readClock(CLOCK_MONOTONIC);
        if (now - lastExpiry > SECOND / 20) {
            expire(now);
            lastExpiry = now;
        }
        if (now - start > (uint64_t)(seconds * 1e9)) quota = 0;
    }
    return now;
}

static long errors(void) {
    long sum = 0;
    for (int i = OK + 1; i < OUTCOMES; i++) sum += counts[i];
    return sum;
}

int main(int count, char **words) {
    struct moment begin, end;
    readOptions(count, words);
    prctl(PR_SET_TIMERSLACK, 1000UL);
    stayOnCPU();
    buildRequest();
    slots = calloc((size_t)settings.window, sizeof *slots);
    idle = calloc((size_t)settings.window, sizeof *idle);
    peers = calloc((size_t)settings.sockets, sizeof *peers);
    latencies = calloc((size_t)settings.requests, sizeof *latencies);
    if (!slots || !idle || !peers || !latencies) die("memory");
    for (int32_t i = 0; i < settings.window; i++) idle[idleCount++] = i;
    int poller = openPeers();
    drive(poller, settings.warmup, settings.seconds / 2);
    begin = look(finished);
    measuring = true;
    uint64_t last = drive(poller, settings.requests, settings.seconds);
    end = look(finished);
    end.at = last;
    report(&begin, &end, separate, bodies, OUTCOME_NAMES, counts, OUTCOMES);
    return errors() ? 1 : 0;
}
