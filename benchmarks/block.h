/*
 * A body fetched in blocks (RFC 7959 sections 2.2 and 2.4): which block is next, and whether an answer
 * is that block of that body. Knows no socket.
 *
 * The body is the one that the servers have at /large: its byte i is i % 251, so that no two of the first
 * 251 blocks are alike.
 */
enum { BLOCK_EXPONENT = 6, BLOCK_SIZE = 16 << BLOCK_EXPONENT, PATTERN = 251 };

/* The number of the next block, and the ETag that came with the first. */
struct transfer { uint32_t next; int etagLength; uint8_t etag[8]; };

static long blocksOf(long size) {
    return (size + BLOCK_SIZE - 1) / BLOCK_SIZE;
}

/* Writes Block2, after an option of the number BEFORE; gives the new end. */
static uint8_t *putBlock2(uint8_t *end, int before, uint32_t number) {
    uint32_t value = number << 4 | BLOCK_EXPONENT;
    uint8_t bytes[] = { (uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value };
    int length = value > 0xffff ? 3 : value > 0xff ? 2 : 1;
    return putOption(end, BLOCK2 - before, (char *)bytes + 3 - length, (size_t)length);
}

/* Has the answer the number and the size that were asked for, and does it say rightly whether more follow? */
static bool isBlockAsked(const struct parsed *answer, const struct transfer *transfer, long size) {
    bool more = transfer->next + 1 < blocksOf(size);
    return answer->block2 == ((long)transfer->next << 4 | more << 3 | BLOCK_EXPONENT);
}

/* Is it of the same representation as the first block (RFC 7959 section 2.4)? */
static bool isSameBody(const struct parsed *answer, struct transfer *transfer) {
    if (!transfer->next) {
        if (answer->etagLength > 8) return false;
        transfer->etagLength = answer->etagLength;
        memcpy(transfer->etag, answer->etag, (size_t)answer->etagLength);
    }
    return answer->etagLength == transfer->etagLength
        && !memcmp(answer->etag, transfer->etag, (size_t)transfer->etagLength);
}

static bool isContentRight(const struct parsed *answer, const struct transfer *transfer, long size) {
    static uint8_t pattern[PATTERN + BLOCK_SIZE];
    long start = (long)transfer->next * BLOCK_SIZE, left = size - start;
    if (!pattern[1]) for (int i = 0; i < PATTERN + BLOCK_SIZE; i++) pattern[i] = (uint8_t)(i % PATTERN);
    return answer->payloadLength == (left < BLOCK_SIZE ? left : BLOCK_SIZE)
        && !memcmp(answer->payload, pattern + start % PATTERN, (size_t)answer->payloadLength);
}

/* The next block is due, or the next body. Says whether this was the last. */
static bool advance(struct transfer *transfer, long size) {
    if (++transfer->next < blocksOf(size)) return false;
    transfer->next = 0;
    return true;
}
