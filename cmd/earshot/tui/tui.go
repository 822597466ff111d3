// Package tui is the terminal interface: conversations and people at the left, the
// conversation, the line being written, and pages for whatever needs a decision. It
// knows the nouns of a conversation and the calls of Client; it knows nothing of
// nodes, networks, disks, keys or sockets.
//
// One goroutine, bubbletea's, owns the model. Calls to the node run beside it as
// commands, each on a goroutine with a time limit (see call), so typing never waits
// for one. One more reads events (see pump). Run waits for all of them. What a screen costs does
// not depend on how much history is loaded: a screen is filled from one message
// outwards, and what a message looks like is kept until the width changes.
package tui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	tea "charm.land/bubbletea/v2"

	"earshot/chat"
)

// Command is a slash command, as completion and help show it.
type Command struct {
	Name string // without the slash
	Args string // such as "#room"; "" for none
	Help string // one line
	// Run carries it out in a room and returns what to show, which may be empty. Of
	// the commands that the interface itself knows (see builtins) it has only those
	// for which something stands behind the name, or is nil.
	Run func(ctx context.Context, room chat.RoomID, args string) (string, error)
}

// Options are what Run can be told. The zero value is good.
type Options struct {
	// Commands are offered besides the built-in ones; one of the same name as a
	// built-in gives it another help line.
	Commands []Command
	// Title stands in the terminal's title; "" means Earshot.
	Title string
	// Input and Output replace the terminal, for tests.
	Input  io.Reader
	Output io.Writer
	// Environ replaces the process's environment, for tests.
	Environ []string
	// Now and Local replace the clock and the time zone, for tests.
	Now   func() time.Time
	Local *time.Location
}

// Run shows the interface until the user quits, ctx ends, or the process is told
// to stop; the terminal is as it was before when it returns. Quitting and being
// told to stop are no errors.
func Run(ctx context.Context, c Client, opt Options) error {
	ctx, cancel := context.WithCancel(ctx)
	events := startPump(ctx, c)
	m := newModel(ctx, c, opt)
	defer func() {
		cancel()
		m.running.wait()
		events.wait()
	}()
	m.events = events.out
	options := []tea.ProgramOption{tea.WithContext(ctx)}
	if opt.Input != nil {
		options = append(options, tea.WithInput(opt.Input))
	}
	if opt.Output != nil {
		options = append(options, tea.WithOutput(opt.Output))
	}
	if opt.Environ != nil {
		options = append(options, tea.WithEnvironment(opt.Environ))
	}
	_, err := tea.NewProgram(m, options...).Run()
	switch {
	case err == nil, errors.Is(err, tea.ErrInterrupted), errors.Is(err, context.Canceled):
		return nil
	case errors.Is(err, tea.ErrProgramPanic):
		return chat.Wrap(chat.CodeInternal, err, "The terminal interface failed.",
			"Start Earshot again; nothing that was sent is lost. If it happens again, report the lines above.")
	}
	return chat.Wrap(chat.CodeUsage, err, fmt.Sprintf("The terminal can't be used: %v.", err),
		"Run Earshot in a terminal window, or use its commands, such as earshot send.")
}
