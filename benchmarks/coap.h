/*
 * As much of a CoAP datagram as a load needs (RFC 7252 sections 3 and 3.1): write an option, check and
 * take apart what arrives. Knows no socket and keeps nothing.
 */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { CON = 0, NON = 1, ACK = 2, RST = 3 };
enum { ETAG = 4, OBSERVE = 6, URI_PATH = 11, BLOCK2 = 23, PROXY_URI = 35 };

/* Points into the datagram that it was parsed from. Without Block2 or Observe these are -1. */
struct parsed {
    int type, code, tokenLength, etagLength;
    uint16_t messageID;
    const uint8_t *token, *etag, *payload;
    long payloadLength, block2, observe;
};

/* Writes one option of under 269 bytes; gives the new end. */
static uint8_t *putOption(uint8_t *end, int delta, const char *value, size_t length) {
    *end++ = (uint8_t)((delta < 13 ? delta : 13) << 4 | (length < 13 ? (int)length : 13));
    if (delta >= 13) *end++ = (uint8_t)(delta - 13);
    if (length >= 13) *end++ = (uint8_t)(length - 13);
    memcpy(end, value, length);
    return end + length;
}

/* Reads the length or delta that a nibble stands for; -1 if it is none. */
static long extended(int nibble, const uint8_t **at, const uint8_t *end) {
    if (nibble < 13) return nibble;
    if (nibble == 13 && end - *at >= 1) return 13 + *(*at)++;
    if (nibble == 14 && end - *at >= 2) {
        *at += 2;
        return 269 + ((*at)[-2] << 8 | (*at)[-1]);
    }
    return -1;
}

static void keepOption(struct parsed *into, long number, const uint8_t *value, long length) {
    if (number == ETAG) {
        into->etag = value;
        into->etagLength = (int)length;
    } else if ((number == BLOCK2 || number == OBSERVE) && length <= 3) {
        long uint = 0;
        while (length--) uint = uint << 8 | *value++;
        *(number == BLOCK2 ? &into->block2 : &into->observe) = uint;
    }
}

/* False if it is no well-formed message of version 1. */
static bool parse(const uint8_t *data, long length, struct parsed *into) {
    const uint8_t *at = data + 4, *end = data + length;
    if (length < 4 || data[0] >> 6 != 1 || (data[0] & 15) > 8 || length < 4 + (data[0] & 15)) return false;
    *into = (struct parsed){ .type = data[0] >> 4 & 3, .code = data[1],
        .messageID = (uint16_t)(data[2] << 8 | data[3]), .token = at, .tokenLength = data[0] & 15,
        .etag = end, .payload = end, .block2 = -1, .observe = -1 };
    long number = 0;
    if (!into->code) return length == 4;
    at += into->tokenLength;
    while (at < end && *at != 0xff) {
        int head = *at++;
        long delta = extended(head >> 4, &at, end), size = extended(head & 15, &at, end);
        if (delta < 0 || size < 0 || size > end - at) return false;
        number += delta;
        keepOption(into, number, at, size);
        at += size;
    }
    if (at < end) {
        into->payload = at + 1;
        into->payloadLength = end - at - 1;
        return into->payloadLength > 0;
    }
    return true;
}
