package lvs

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"systole/agents/ipvs/control"
	"systole/integration/lab"
	"systole/integration/netlab"
)

// insideEnv makes this program the one that runs in a machine.
const insideEnv = "SYSTOLE_LAB_INSIDE"

// program is this one, inside.
func program(words string) string {
	return insideEnv + "=1 /lab/bin/" + filepath.Base(os.Args[0]) + " " + words
}

// inside is what runs in a machine: small servers, and words to the director's process.
func inside(args []string) error {
	switch args[0] {
	case "http": // PORT TEXT
		return http.ListenAndServe(":"+args[1], http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, args[2]) }))
	case "udp": // PORT TEXT
		return netlab.EchoUDP(args[1], args[2])
	case "watch": // FILE
		return watch(args[1])
	case "reloads": // FILE TIMES
		times, err := strconv.Atoi(args[2])
		if err != nil {
			return err
		}
		return reloads(args[1], times)
	}
	return fmt.Errorf("what is %q?", args[0])
}

// watch keeps what the director's process says in a file. Asking from outside would
// cost a process each time, and processes are dear in these machines.
func watch(file string) error {
	for ; ; time.Sleep(200 * time.Millisecond) {
		var said []byte
		if st, err := control.Ask(context.Background(), control.Socket("", "lvs"), control.Request{Do: control.Show}); err == nil {
			if said, err = json.Marshal(st); err != nil {
				return err
			}
		}
		if err := os.WriteFile(file+".new", said, 0o644); err != nil {
			return err
		}
		if err := os.Rename(file+".new", file); err != nil {
			return err
		}
	}
}

// statusFile is where watch writes, in the machine's directory.
const statusFile = "director.json"

// watched starts watch on a director.
func (s site) watched(n *lab.Node) {
	s.Helper()
	file, err := n.Write(statusFile, "", 0o644)
	s.must(err)
	_, err = n.Spawn(s.Context(), "watch.log", "/bin/sh", "-c", program("watch "+file))
	s.must(err)
}

// status is what the director's process on a machine says.
func (s site) status(n *lab.Node) (st control.Status, err error) {
	err = json.Unmarshal([]byte(n.Log(statusFile)), &st)
	return st, err
}

// reloads has the director read its file again and again, with and without what
// FILE.more holds.
func reloads(file string, times int) error {
	base, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	more, err := os.ReadFile(file + ".more")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	for i := range times {
		text := base
		if i%2 == 0 {
			text = append(base[:len(base):len(base)], more...)
		}
		if err := os.WriteFile(file, text, 0o600); err != nil {
			return err
		}
		if _, err := control.Ask(ctx, control.Socket("", "lvs"), control.Request{Do: control.Reload}); err != nil {
			return fmt.Errorf("reload %d: %w", i, err)
		}
	}
	return os.WriteFile(file, base, 0o600)
}
