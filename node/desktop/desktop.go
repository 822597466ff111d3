// Package desktop is the leaf that knows the desktop of this machine: whether somebody
// is at it, whether its screen is locked, and how to show a notification. It does not
// know who is told of either, or what a notification is about.
//
// It needs no cgo. A desktop that is not there, is not there yet or goes away is no
// failure: it is looked for again, and Idle.Problem says so meanwhile.
//
// What tells is asked every ten seconds: on Linux GNOME's idle monitor, the Wayland
// protocol ext-idle-notify, the X11 extension MIT-SCREEN-SAVER, else logind; on macOS
// the HID system; on Windows the last input. Locking the screen is told by signals on
// Linux, and asked for as often elsewhere.
package desktop

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"earshot/chat"
)

// Variable is the environment variable by which a process is kept from its desktop: "off".
const Variable = "EARSHOT_DESKTOP"

// Idle is whether somebody is at this machine.
type Idle struct {
	// Since is when the last key was pressed or the mouse last moved; zero while
	// that is less than Rest ago, or where it can't be known.
	Since  time.Time
	Locked bool   // the screen is
	By     string // what tells Since: "logind", "x11", ...; empty for nothing
	// Problem says in a sentence why Since can't be known; empty where it is.
	Problem string
}

// Rest is how long nobody touches a machine before that is worth telling.
const Rest = time.Minute

// Note is a notification.
type Note struct {
	Key string // the next one with the same Key takes its place
	// Title and Body are one line of plain text each. They may hold a stranger's words
	// and are shown as they stand: no markup, no links, no actions.
	Title, Body string
	Silent      bool // only changes what is still shown, without a sound
}

const (
	// askEvery spaces the questions to what tells whether somebody is there.
	askEvery = 10 * time.Second
	// lookEvery spaces the attempts to find something that tells.
	lookEvery = 30 * time.Second
	// settleAfter is how many answers are taken from what tells less well, before
	// something better is looked for: a desktop may have started meanwhile.
	settleAfter = 30
	// answerTime bounds how long anything here waits for an answer.
	answerTime = 5 * time.Second
	// maxTitle and maxBody bound what is shown, in bytes.
	maxTitle, maxBody = 256, 512
)

// errNothingTells is why nothing is known.
const errNothingTells = "This machine does not tell whether somebody is at it. Only what you do in Earshot counts."

// Desktop is the desktop that this process runs on. Make one with New; its methods may
// be called concurrently.
type Desktop struct {
	log          *slog.Logger
	every, again time.Duration // askEvery and lookEvery, but in tests
	system
}

// New returns the desktop of this machine. It asks nothing of it yet.
func New(log *slog.Logger) *Desktop {
	return &Desktop{log: log, every: askEvery, again: lookEvery, system: newSystem()}
}

// Watch tells whether somebody is at the machine, first when that is known or known not
// to be, and then whenever it changes, until ctx ends. Then what Show and
// Withdraw have opened is closed, too. It calls tell from several goroutines, never from two at the same time, and from none when it has returned.
func (d *Desktop) Watch(ctx context.Context, tell func(Idle)) {
	s := &state{tell: tell, locks: map[string]bool{}}
	var wg sync.WaitGroup
	defer d.end()
	defer wg.Wait()
	for name, watch := range d.watchers() {
		wg.Go(func() {
			for ctx.Err() == nil {
				err := watch(ctx, s)
				d.log.Debug("what tells of the screen has ended", "of", name, "err", err)
				wait(ctx, d.again)
			}
		})
	}
	d.watchIdle(ctx, s)
}

// Show shows a notification, in place of what is shown under its key. Errors are
// sentences for the person.
func (d *Desktop) Show(ctx context.Context, n Note) error {
	n.Title, n.Body = chat.CleanLine(n.Title, maxTitle), chat.CleanLine(n.Body, maxBody)
	return d.show(ctx, n)
}

// Withdraw takes back what is shown under a key, if anything is.
func (d *Desktop) Withdraw(ctx context.Context, key string) error { return d.withdraw(ctx, key) }

// source is something that can be asked whether somebody is there.
type source struct {
	name string
	open func(context.Context) (asker, error)
}

// asker is a source that has been opened. It belongs to one goroutine.
type asker interface {
	// ask returns for how long nobody has touched the machine.
	ask(ctx context.Context) (reading, error)
	close()
}

// reading is what a source answers.
type reading struct {
	idle   time.Duration
	locked bool // always false where that is told by signals
}

// watchIdle asks the first source that answers, until ctx ends.
func (d *Desktop) watchIdle(ctx context.Context, s *state) {
	sources := d.sources()
	for ctx.Err() == nil {
		at, a, first := d.find(ctx, sources)
		if a == nil {
			s.set(time.Time{}, "", errNothingTells)
			wait(ctx, d.again)
			continue
		}
		name := sources[at].name
		for n, r := 0, first; ; n++ {
			s.setLock(name, r.locked)
			s.set(time.Now().Add(-r.idle), name, "")
			if wait(ctx, d.every); ctx.Err() != nil || at > 0 && n >= settleAfter {
				break
			}
			var err error
			if r, err = answer(ctx, a); err != nil {
				d.log.Debug("what tells whether somebody is there has ended", "of", name, "err", err)
				break
			}
		}
		a.close()
		s.setLock(name, false)
	}
}

// find opens the best of the sources that answer; nil where none does.
func (d *Desktop) find(ctx context.Context, sources []source) (int, asker, reading) {
	for i, src := range sources {
		opening, cancel := context.WithTimeout(ctx, answerTime)
		a, err := src.open(opening)
		cancel()
		var first reading
		if err == nil {
			if first, err = answer(ctx, a); err == nil {
				return i, a, first
			}
			a.close()
		}
		d.log.Debug("whether somebody is there is not told", "by", src.name, "err", err)
	}
	return 0, nil, reading{}
}

func answer(ctx context.Context, a asker) (reading, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	return a.ask(ctx)
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// state joins what is told of whoever is at the machine.
type state struct {
	mu    sync.Mutex
	tell  func(Idle)
	idle  Idle            // but for Locked
	locks map[string]bool // by who says that the screen is locked
	asked time.Time       // when somebody was asked to lock it, who may not say what came of it
	told  Idle
	began bool
}

// set notes when the machine was last touched, and what tells.
func (s *state) set(touched time.Time, by, problem string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	touched = touched.Round(0) // a machine that sleeps is idle
	switch was := s.idle.Since; {
	case by == "" || time.Since(touched) < Rest:
		touched = time.Time{}
	case !was.IsZero() && touched.Sub(was).Abs() < askEvery: // the same, not asked at the same moment
		touched = was
	}
	s.idle = Idle{Since: touched, By: by, Problem: problem}
	s.began = true
	if by != "" && touched.IsZero() && !s.asked.IsZero() && time.Since(s.asked) > Rest {
		s.asked = time.Time{} // somebody is at it again
	}
	s.settle()
}

// setLock notes whether somebody says that the screen is locked.
func (s *state) setLock(by string, locked bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if delete(s.locks, by); locked {
		s.locks[by] = true
	}
	s.settle()
}

// settle tells what has changed. s.mu is held, so nothing older is told later.
func (s *state) settle() {
	now := s.idle
	now.Locked = len(s.locks) > 0 || !s.asked.IsZero()
	if s.began && now != s.told {
		s.told = now
		s.tell(now)
	}
}
