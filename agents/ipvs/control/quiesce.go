package control

import (
	"context"
	"net/netip"
	"time"
)

// quiesceWithin bounds how long the stop of an address waits for its directors.
const quiesceWithin = time.Second

// Quiesced has the directors of this machine take no new connections until the
// handshakes under way with an address have ended, a moment at most: the address
// is about to leave. A connection whose handshake it cuts short is in nobody's
// table, and the next director would answer it by a reset. What cannot be reached
// directs nothing that matters here; the address leaves in any case.
func Quiesced(ctx context.Context, dir string, address netip.Addr) {
	for _, resource := range Resources(dir) {
		ctx, cancel := context.WithTimeout(ctx, quiesceWithin)
		_, _ = Ask(ctx, Socket(dir, resource), Request{Do: Quiesce, Address: address}) // no answer, no director
		cancel()
	}
}
