/*
 * What the load is told to do: the settings with their defaults, and the table of options that set them.
 * Times are in seconds, but for the pause, in microseconds.
 */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_WINDOW = 65535 };  /* a slot's number is two bytes of the token */

static struct {
    const char *address, *path, *payload, *expect, *origin;
    long port, window, sockets, requests, warmup, burst, pause, code, expectClass, size, pid, cpu;
    double seconds, timeout;
    bool non, canned;
} settings = {
    .address = "127.0.0.1", .path = "hello", .port = 5683, .window = 32, .sockets = 64,
    .requests = 20000, .warmup = 2000, .burst = 1, .pause = 20, .code = 1, .expectClass = 2,
    .cpu = -1, .seconds = 60, .timeout = 2,
};

static void die(const char *what) {
    fprintf(stderr, "load: %s%s%s\n", what, errno ? ": " : "", errno ? strerror(errno) : "");
    exit(2);
}

/* The option Proxy-Uri: the path at the origin, on the port of the server. */
static uint8_t *putProxyUri(uint8_t *end, int before) {
    char uri[256];
    int length = snprintf(uri, sizeof uri, "coap://%s:%ld/%s", settings.origin, settings.port, settings.path);
    if (length >= (int)sizeof uri) die("origin and path are too long");
    return putOption(end, PROXY_URI - before, uri, (size_t)length);
}

enum kind { TEXT, INTEGER, REAL, FLAG };
static const struct { const char *name; enum kind kind; void *field; double least, most; } OPTIONS[] = {
    { "address", TEXT, &settings.address, 0, 0 },
    { "port", INTEGER, &settings.port, 1, 65535 },
    { "path", TEXT, &settings.path, 0, 0 },
    { "origin", TEXT, &settings.origin, 0, 0 },
    { "payload", TEXT, &settings.payload, 0, 0 },
    { "expect", TEXT, &settings.expect, 0, 0 },
    { "code", INTEGER, &settings.code, 1, 31 },
    { "expect-class", INTEGER, &settings.expectClass, 2, 5 },
    { "size", INTEGER, &settings.size, 0, 1 << 30 },
    { "window", INTEGER, &settings.window, 1, MAX_WINDOW },
    { "sockets", INTEGER, &settings.sockets, 1, 65535 },
    { "requests", INTEGER, &settings.requests, 1, 50e6 },
    { "warmup", INTEGER, &settings.warmup, 0, 50e6 },
    { "burst", INTEGER, &settings.burst, 1, MAX_WINDOW },
    { "pause", INTEGER, &settings.pause, 0, 999999 },
    { "pid", INTEGER, &settings.pid, 1, 1 << 30 },
    { "cpu", INTEGER, &settings.cpu, 0, 1023 },
    { "seconds", REAL, &settings.seconds, 0.01, 3600 },
    { "timeout", REAL, &settings.timeout, 0.001, 100 },
    { "non", FLAG, &settings.non, 0, 0 },
    { "canned", FLAG, &settings.canned, 0, 0 },
};

static void set(int option, const char *value) {
    char *rest = "";
    double number = value ? strtod(value, &rest) : 1;
    if (OPTIONS[option].kind == TEXT) *(const char **)OPTIONS[option].field = value;
    else if (OPTIONS[option].kind == FLAG) *(bool *)OPTIONS[option].field = true;
    else if (*rest || !*value || number < OPTIONS[option].least || number > OPTIONS[option].most) {
        fprintf(stderr, "load: --%s must be a number from %g to %g\n", OPTIONS[option].name,
                OPTIONS[option].least, OPTIONS[option].most);
        exit(2);
    } else if (OPTIONS[option].kind == REAL) *(double *)OPTIONS[option].field = number;
    else *(long *)OPTIONS[option].field = (long)number;
}

static void tellOptions(void) {
    puts("The load: asks a server on the loopback interface, and tells what came of it as JSON. Its options are");
    for (size_t i = 0; i < sizeof OPTIONS / sizeof *OPTIONS; i++) {
        if (OPTIONS[i].kind == FLAG) printf("    --%s\n", OPTIONS[i].name);
        else if (OPTIONS[i].kind == TEXT) printf("    --%s TEXT\n", OPTIONS[i].name);
        else printf("    --%s %.10g to %.10g\n", OPTIONS[i].name, OPTIONS[i].least, OPTIONS[i].most);
    }
    exit(0);
}

static void readOptions(int count, char **words) {
    enum { N = sizeof OPTIONS / sizeof *OPTIONS };
    struct option table[N + 2] = { [N] = { "help", no_argument, NULL, 2 } };
    int which, index;
    for (int i = 0; i < N; i++) {
        int argument = OPTIONS[i].kind == FLAG ? no_argument : required_argument;
        table[i] = (struct option){ OPTIONS[i].name, argument, NULL, 1 };
    }
    while ((which = getopt_long(count, words, "", table, &index)) != -1) {
        if (which == 2) tellOptions();
        if (which != 1) exit(2);
        set(index, optarg);
    }
    if (optind < count) die("it takes options only");
}
