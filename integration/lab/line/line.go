// Package line is what the harness and a node say to each other over the
// node's second console: one JSON value a line, both ways. The console is no
// network: it works whatever was done to the node's cables.
package line

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Most bounds one line, in bytes: output of a command, in base64, with room.
const Most = 48 << 20

// MostOutput bounds what is kept of a command's output, in bytes.
const MostOutput = 16 << 20

// MostTyped bounds a line towards the node, in bytes. A User-Mode Linux console
// that holds 4 KiB of unread input is not read again (kernel 6.1, seen), so
// longer requests go by file.
const MostTyped = 512

// Request goes from the harness to the node. Exactly one of Argv, Cancel,
// Fenced and File says what it is.
type Request struct {
	ID      uint64        `json:"id"`
	File    string        `json:"file,omitempty"` // the request is in this file of the node, to be removed
	Argv    []string      `json:"argv,omitempty"`
	Env     []string      `json:"env,omitempty"` // NAME=value, over the node's own
	Stdin   []byte        `json:"stdin,omitempty"`
	Timeout time.Duration `json:"timeout,omitempty"` // 0: none
	// Detach starts the command in a session of its own and answers with its
	// process number at once; its output goes to the file Log, if named.
	Detach bool   `json:"detach,omitempty"`
	Log    string `json:"log,omitempty"`

	Cancel bool         `json:"cancel,omitempty"` // kill the command with this ID
	Fenced *FenceAnswer `json:"fenced,omitempty"` // answers the node's call with this ID
}

// Reply goes from the node to the harness: Ready once, a command's end, or a
// call to the power switch.
type Reply struct {
	ID    uint64     `json:"id"`
	Ready bool       `json:"ready,omitempty"`
	Code  int        `json:"code"` // exit code, 128+signal, or process number with Detach
	Out   []byte     `json:"out,omitempty"`
	Error string     `json:"error,omitempty"` // why it could not be started or was killed
	Fence *FenceCall `json:"fence,omitempty"`
}

// FenceCall is what fence_lab was asked: an action of the fence agent API on a plug.
type FenceCall struct {
	Action string `json:"action"`
	Plug   string `json:"plug"`
}

// FenceAnswer is what fence_lab prints and exits with.
type FenceAnswer struct {
	Code int    `json:"code"`
	Out  string `json:"out,omitempty"`
	Err  string `json:"err,omitempty"`
}

// Write sends one value.
func Write(w io.Writer, value any) error {
	b, err := json.Marshal(value)
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

// Reader reads values line by line.
type Reader struct{ s *bufio.Scanner }

// NewReader reads from r.
func NewReader(r io.Reader) *Reader {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 64<<10), Most)
	return &Reader{s}
}

// Read takes the next value into value; io.EOF at the end. Lines that begin no
// JSON object are passed over: a kernel may print on any console.
func (r *Reader) Read(value any) error {
	for r.s.Scan() {
		b := r.s.Bytes()
		if len(b) == 0 || b[0] != '{' {
			continue
		}
		if err := json.Unmarshal(b, value); err != nil {
			return fmt.Errorf("console line: %w", err)
		}
		return nil
	}
	return ended(r.s.Err())
}

func ended(err error) error {
	if err == nil {
		return io.EOF
	}
	return errors.Join(errors.New("read the console"), err)
}
