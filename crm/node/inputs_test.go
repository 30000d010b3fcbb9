package node

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"systole/crm/api"
)

// savedNames are the inputs saved, by name.
type savedNames []string

func (s *savedNames) Save(name string, _ []byte) error { *s = append(*s, name); return nil }
func (s *savedNames) List() ([]api.InputFile, error)   { return nil, nil }
func (s *savedNames) Load(string) ([]byte, error)      { return nil, nil }

// An input is saved when what was decided is under way, and at the end of the daemon at once.
func TestInputsAreSavedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var saved savedNames
		n := &Node{cfg: Config{Inputs: &saved}, log: slog.New(slog.DiscardHandler), inputs: newQueue[savedInput]()}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go n.saveInputs(ctx)
		cib := testCIB(nil, 0, noFencing).Root()
		n.inputs.post(savedInput{"1", cib})
		time.Sleep(inputRest - time.Millisecond)
		synctest.Wait()
		if len(saved) > 0 {
			t.Errorf("saved %q at once", saved)
		}
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		n.inputs.post(savedInput{"2", cib})
		synctest.Wait()
		stop()
		synctest.Wait()
		if want := []string{"1", "2"}; !slices.Equal(saved, want) {
			t.Errorf("saved %q, want %q", saved, want)
		}
	})
}
