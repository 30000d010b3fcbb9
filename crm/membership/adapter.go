package membership

import (
	"context"
	"log/slog"
	"strings"
)

// adapter turns memberlist's log lines ("[WARN] memberlist: text") into
// records. Gossip is opinion, so nothing of it is an error, and what it tells
// of peers is told by events and status already: only warnings stay visible.
type adapter struct{ log *slog.Logger }

// Write implements io.Writer; the log package calls it once for each line.
func (a adapter) Write(line []byte) (int, error) {
	level, text := slog.LevelDebug, strings.TrimSpace(string(line))
	if rest, ok := strings.CutPrefix(text, "["); ok {
		tag, message, _ := strings.Cut(rest, "] ")
		text = strings.TrimPrefix(message, "memberlist: ")
		if tag == "WARN" || tag == "ERR" || tag == "ERROR" {
			level = slog.LevelWarn
		}
	}
	a.log.Log(context.Background(), level, "gossip", "reason", text)
	return len(line), nil
}
