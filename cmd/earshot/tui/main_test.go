package tui

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"earshot/chat"
)

// With EARSHOT_TUI_TRY set the test binary shows the interface in this terminal,
// on a node in memory where people talk by themselves:
//
//	go test -c -o /tmp/tui.test ./cmd/earshot/tui && EARSHOT_TUI_TRY=1 /tmp/tui.test
func TestMain(m *testing.M) {
	if os.Getenv("EARSHOT_TUI_TRY") == "" {
		goleak.VerifyTestMain(m)
		return
	}
	opt := Options{}
	if os.Getenv("EARSHOT_TUI_TRY") == "panic" { // to see whether the terminal survives it
		left := 150
		opt.Now = func() time.Time {
			if left--; left == 0 {
				panic("as asked")
			}
			return time.Now()
		}
	}
	if err := Run(context.Background(), tryFake(os.Getenv("EARSHOT_TUI_TRY")), opt); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// tryFake is an office for looking at; in "quiet" nobody talks by themselves, in
// "alone" there is nobody.
func tryFake(kind string) *fake {
	if kind == "alone" {
		return newFake()
	}
	f := office()
	f.clock = time.Now().Add(-time.Hour)
	for i := range 3000 {
		f.clock = f.clock.Add(time.Millisecond)
		f.say("#kitchen", f.author("Ann"), fmt.Sprintf("old message %d", i))
	}
	script(f)
	f.clock = time.Now()
	if kind == "quiet" {
		return f
	}
	go func() { // ends with the process
		for i := 0; ; i++ {
			time.Sleep(2 * time.Second)
			f.mu.Lock()
			ann := f.author("Ann")
			f.events <- chat.TypingEvent{Room: chat.Lobby, RoomID: chat.OpenRoom(chat.Lobby), From: ann, Typing: true}
			f.mu.Unlock()
			time.Sleep(time.Second)
			f.mu.Lock()
			f.clock = time.Now()
			f.events <- chat.MessageEvent{Message: f.say(chat.Lobby, ann, fmt.Sprintf("live message %d", i))}
			f.mu.Unlock()
		}
	}()
	return f
}
