package store

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

// raftLogger gives raft's log lines to slog. What raft calls information is of no use
// to an operator, who reads of elections from the store itself: it becomes debug.
func raftLogger(log *slog.Logger) hclog.Logger {
	l := hclog.NewInterceptLogger(&hclog.LoggerOptions{Name: "raft", Output: io.Discard, Level: hclog.Off})
	l.RegisterSink(&sink{log: log.With("part", "raft"), said: make(map[string]time.Time)})
	return l
}

// repeatAfter is how long a line of raft's is not repeated: it says the same of a dead
// peer many times a second.
const repeatAfter = 10 * time.Second

type sink struct {
	log  *slog.Logger
	mu   sync.Mutex
	said map[string]time.Time // by constant message: raft has some hundred
}

// Accept implements hclog.SinkAdapter.
func (s *sink) Accept(name string, level hclog.Level, msg string, args ...any) {
	to := slog.LevelDebug
	switch level {
	case hclog.Warn:
		to = slog.LevelInfo
	case hclog.Error:
		to = slog.LevelWarn
	}
	if !s.log.Enabled(context.Background(), to) {
		return
	}
	s.mu.Lock()
	repeated := time.Since(s.said[msg]) < repeatAfter
	if !repeated {
		s.said[msg] = time.Now()
	}
	s.mu.Unlock()
	if repeated && to > slog.LevelDebug {
		return
	}
	for i, a := range args {
		if f, ok := a.(hclog.Format); ok && len(f) > 0 {
			args[i] = fmt.Sprintf(fmt.Sprint(f[0]), f[1:]...)
		}
	}
	s.log.Log(context.Background(), to, msg, args...)
}
