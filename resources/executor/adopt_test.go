package executor

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"systole/resources"
)

func TestRestartAdopts(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		state := &memory{}
		n := w.boot("i1", state, 0)
		n.order("start vip", "start web", "monitor web 10s", "start gone")
		synctest.Wait()
		n.stop()
		w.took()
		w.told()
		w.fatal["start"], w.fatal["stop"] = true, true
		w.set(func() { delete(w.up, "gone") })

		n = w.boot("i2", state, 0)
		synctest.Wait()
		want(t, "probed, by the recurring monitor where there is one", sorted(w.took()),
			"+monitor gone", "+monitor vip", "+monitor web", "-monitor gone", "-monitor vip", "-monitor web")
		want(t, "only what is not as recorded is told", w.told(), "5 monitor gone rc=7 status=0")
		time.Sleep(11 * time.Second)
		want(t, "the monitor goes on", w.took(), "+monitor web", "-monitor web")
		want(t, "active, in the order of start", roles(n), "vip Started", "web Started")
	})
}

func TestRestartInTheMiddle(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		state := &memory{}
		n := w.boot("i1", state, 3)
		for _, s := range []string{"start b", "start c"} {
			n.order(s)
			synctest.Wait()
		}
		w.set(func() {
			for _, s := range []string{"start a", "stop b", "promote c"} {
				w.slow[s] = time.Minute
			}
			w.refuse = errors.New("no DC")
		})
		n.order("start a", "stop b", "promote c", "start d", "stop a")
		synctest.Wait()
		n.stop()
		w.took()
		first := w.told()
		w.set(func() { w.refuse, w.slow = nil, map[string]time.Duration{}; w.fatal["start"] = true })

		n = w.boot("i2", state, 0)
		if err := n.Settled(t.Context()); err != nil {
			t.Error(err)
		}
		want(t, "stops are done again, nothing is started", sorted(w.took()),
			"+monitor c", "+stop a", "+stop b", "-monitor c", "-stop a", "-stop b")
		want(t, "committed before", first, "1 start b rc=0 status=0", "2 start c rc=0 status=0")
		var answers []string
		for _, line := range w.told() {
			answers = append(answers, line[2:])
		}
		want(t, "every order has its answer", sorted(answers),
			"monitor c rc=0 status=0", "promote c rc=1 status=4", "start a rc=1 status=4", "start d rc=193 status=1",
			"stop a rc=0 status=0", "stop b rc=0 status=0")
	})
}

func TestUndeliveredSurviveARestart(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		state := &memory{}
		n := w.boot("i1", state, 0)
		w.set(func() { w.refuse = errors.New("no DC") })
		if err := n.Execute(t.Context(), Order{Op: op("start a"), Key: "k"}); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		n.stop()
		w.set(func() { w.refuse = nil })
		n = w.boot("i2", state, 0)
		if err := n.Execute(t.Context(), Order{Op: op("start a"), Key: "k"}); err != nil {
			t.Error(err)
		}
		if err := n.Settled(t.Context()); err != nil {
			t.Error(err)
		}
		if len(w.committed) != 1 || w.committed[0].Incarnation != "i1" || w.committed[0].Call != 1 {
			t.Errorf("reports %+v, want the one of i1 and no second start", w.committed)
		}
	})
}

func TestRecordErrors(t *testing.T) {
	for _, data := range []string{"{", `{"Version":99}`} {
		e := New(Config{State: &memory{[]byte(data)}})
		if err := e.Run(t.Context()); err == nil {
			t.Errorf("Run with record %s succeeded", data)
		}
	}
}

// FuzzAdopt: whatever the record says, adopting it starts nothing.
func FuzzAdopt(f *testing.F) {
	m := newMachine("i1", 4)
	now := time.Unix(1e9, 0)
	for _, s := range []string{"start a", "stop b", "monitor a 10s", "monitor c", "promote d"} {
		if err := m.submit(Order{Op: op(s), Key: s}, true, now); err != nil {
			f.Fatal(err)
		}
	}
	m.tick(now)
	m.done(m.launch[0], resources.Result{}, false, now)
	seed, err := m.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(slices.Clone(seed))
	f.Add([]byte(`{"Version":1,"Resources":[{"ID":"x","Role":2,"Jobs":[{"Order":{"Op":{"Action":"start"}},"Began":"2026-01-01T00:00:00Z"}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m := newMachine("i2", 4)
		if m.adopt(data, now) != nil {
			return
		}
		m.tick(now)
		for _, j := range m.launch {
			if activates(j.order.Op.Action) {
				t.Errorf("adopting begins %s of %q", j.order.Op.Action, j.res.id)
			}
		}
	})
}
