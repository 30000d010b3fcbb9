package ipvs

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"time"

	"github.com/google/renameio/v2"

	"systole/agents/ipvs/control"
	"systole/agents/ipvs/table"
)

// record is what the process must remember over its death. The file is there
// from the beginning of start to the end of stop.
type record struct {
	Role       control.Role `json:"role"`
	Promotable bool         `json:"promotable"`
	// Owned are services that are, or were about to be, in the kernel because of us.
	Owned []table.Key `json:"owned"`
	// Daemons are the sync daemons we may have started.
	Daemons []table.DaemonState `json:"daemons"`
	// Former are the values of settings before we changed them, by path below /proc/sys.
	Former map[string]string `json:"former"`
	// Timeouts are the kernel's before we changed them; nil: we did not.
	Timeouts *table.Timeouts `json:"timeouts,omitempty"`
	// Respawned is when a monitor last had to start the process again.
	Respawned time.Time `json:"respawned,omitzero"`
}

// readRecord reads the file; nil without one.
func readRecord(path string) (*record, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r := &record{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

func (r *record) write(path string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return renameio.WriteFile(path, append(data, '\n'), 0o600)
}

// with is the map with one more value, without one with one less; the old one stays as it is.
func with(m map[string]string, key, value string) map[string]string {
	next := maps.Clone(m)
	if next == nil {
		next = map[string]string{}
	}
	next[key] = value
	return next
}

func without(m map[string]string, key string) map[string]string {
	next := maps.Clone(m)
	delete(next, key)
	return next
}
