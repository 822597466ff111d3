package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"earshot/chat"
)

// This file is how a person is asked before something is done.

// errDeclined says that the person was asked and did not want it.
var errDeclined = errors.New("the person said no")

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 1 << 10

// sure says what will happen and returns when the person wants it: because they say
// so, or have said so with --yes. Without a terminal nobody can be asked.
func (a *app) sure(ctx context.Context, what string) error {
	switch {
	case a.opt.yes:
		return nil
	case !a.canAsk():
		return chat.Errorf(chat.CodeUsage, "%s There is no terminal to ask whether you want that. Say so with --yes.", cell(what))
	}
	yes, err := a.yes(ctx, cell(what)+" Go on?")
	if err == nil && !yes {
		err = errDeclined
	}
	return err
}

// yes asks a question until it is answered with yes or no; the end of input is no.
func (a *app) yes(ctx context.Context, question string) (bool, error) {
	for {
		select {
		case r := <-a.question(question + " [y/n] "):
			if yes, clear, err := a.answered(r); clear || err != nil {
				return yes, err
			}
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// reply is a line that a person typed, or why there is none.
type reply struct {
	line string
	err  error
}

// question shows a prompt and returns where the answer comes. One that nobody waits
// for any more is the answer to the next question.
func (a *app) question(prompt string) <-chan reply {
	fmt.Fprint(a.p.errs, prompt)
	if a.pending == nil {
		a.pending = make(chan reply, 1)
		go func(out chan<- reply) { // reading a terminal can't be cut short: it may end with the process
			line, err := readLine(a.in)
			out <- reply{line, err}
		}(a.pending)
	}
	return a.pending
}

// leaveQuestion ends the line of a question that is no longer asked.
func (a *app) leaveQuestion() {
	if a.pending != nil {
		fmt.Fprintln(a.p.errs)
	}
}

// answered says what a reply means, and whether that is clear.
func (a *app) answered(r reply) (yes, clear bool, err error) {
	a.pending = nil
	if errors.Is(r.err, io.EOF) {
		fmt.Fprintln(a.p.errs)
		return false, true, nil
	}
	switch strings.ToLower(strings.TrimSpace(r.line)) {
	case "y", "yes":
		return true, true, r.err
	case "n", "no":
		return false, true, r.err
	}
	return false, false, r.err
}

// readLine reads up to the end of a line and no further: what follows may be for
// another reader.
func readLine(in io.Reader) (string, error) {
	var line []byte
	for b := make([]byte, 1); len(line) < maxAnswer; {
		n, err := in.Read(b)
		switch {
		case n > 0 && b[0] == '\n':
			return string(line), nil
		case n > 0:
			line = append(line, b[0])
		case err != nil:
			return string(line), err
		}
	}
	return string(line), nil
}
