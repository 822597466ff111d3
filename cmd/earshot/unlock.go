package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"earshot/chat"
	"earshot/node/keyring"
)

// This file is how a home gets its passphrase: from a file, or from a person at a
// terminal, who is asked on standard error and whose answer is not shown.

// maxPassphraseFile bounds what is read of a file with a passphrase, in bytes.
const maxPassphraseFile = 4 << 10

func passphraseFlag(c *cobra.Command, o *options) {
	c.Flags().StringVar(&o.passphraseFile, "passphrase-file", "", "read the passphrase from the first line of this `FILE`, - for standard input")
}

// unlock says how this process opens the home.
func (a *app) unlock() (keyring.Options, error) {
	opt := keyring.Options{System: a.keys, Notify: func(text string) { a.p.note("%s", text) }}
	if name := os.Getenv(keyring.PassphraseVariable); name != "" {
		var err error
		if opt.Given, err = a.readPassphrase(name); err != nil {
			return opt, err
		}
	}
	if a.canAsk() {
		opt.Ask = func(ctx context.Context, try int) ([]byte, error) {
			if try > 0 {
				a.p.note("That passphrase is wrong.")
			}
			return a.ask(ctx, "Passphrase for "+cell(a.home)+": ")
		}
	}
	return opt, nil
}

// readPassphrase returns the first line of a file.
func (a *app) readPassphrase(name string) ([]byte, error) {
	in, closeFile := a.in, func() error { return nil }
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, chat.Wrap(chat.CodePassphrase, err, "The file with the passphrase can't be read: "+err.Error()+".", "Name another one, or correct its permissions.")
		}
		in, closeFile = f, f.Close
	}
	b, err := io.ReadAll(io.LimitReader(in, maxPassphraseFile))
	if err = errors.Join(err, closeFile()); err != nil {
		return nil, chat.Wrap(chat.CodePassphrase, err, "The file with the passphrase can't be read: "+err.Error()+".", "Name another one.")
	}
	line, _, _ := bytes.Cut(b, []byte("\n"))
	if line = bytes.TrimSuffix(line, []byte("\r")); len(line) == 0 {
		return nil, chat.Errorf(chat.CodePassphrase, "The file %s holds no passphrase. Its first line must be one.", name)
	}
	return line, nil
}

// canAsk reports whether somebody sits at a terminal to be asked.
func (a *app) canAsk() bool { return isTerminal(a.in) && isTerminal(a.p.errs) }

// ask asks a person for a passphrase.
func (a *app) ask(ctx context.Context, prompt string) ([]byte, error) {
	fd := int(a.in.(*os.File).Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return nil, err
	}
	fmt.Fprint(a.p.errs, prompt)
	defer fmt.Fprintln(a.p.errs)
	type answer struct {
		pass []byte
		err  error
	}
	answers := make(chan answer, 1)
	go func() { // reading a terminal can't be cut short: after Ctrl+C it ends with the process
		pass, err := term.ReadPassword(fd)
		answers <- answer{pass, err}
	}()
	select {
	case r := <-answers:
		if errors.Is(r.err, io.EOF) {
			return nil, chat.Errorf(chat.CodePassphrase, "No passphrase was given. Run the command again.")
		}
		return r.pass, r.err
	case <-ctx.Done():
		_ = term.Restore(fd, before) // it shows what is typed again
		return nil, ctx.Err()
	}
}

// choose returns a new passphrase: the first line of the file that a flag names,
// else what a person types twice. what says what it is for.
func (a *app) choose(ctx context.Context, what string) ([]byte, error) {
	if a.opt.passphraseFile != "" {
		return a.readPassphrase(a.opt.passphraseFile)
	}
	if !a.canAsk() {
		return nil, chat.Errorf(chat.CodeUsage, "There is no terminal to ask for %s. Name a file that holds it with --passphrase-file.", what)
	}
	for {
		pass, err := a.ask(ctx, "Choose "+what+": ")
		if err != nil {
			return nil, err
		}
		again, err := a.ask(ctx, "And again: ")
		if err != nil {
			return nil, err
		}
		if bytes.Equal(pass, again) {
			return pass, nil
		}
		a.p.note("The two differ. Try again.")
	}
}

func runPassphrase(ctx context.Context, a *app, _ []string) error {
	is, err := a.protection(ctx)
	if err != nil {
		return err
	}
	opt, err := a.unlock()
	if err != nil {
		return err
	}
	if a.opt.remove {
		err = keyring.RemovePassphrase(ctx, a.home, opt)
	} else {
		err = keyring.SetPassphrase(ctx, a.home, opt, func(ctx context.Context) ([]byte, error) {
			if !is.Passphrase && opt.Given != nil && a.opt.passphraseFile == "" {
				return opt.Given, nil
			}
			return a.choose(ctx, "a passphrase for "+cell(a.home))
		})
	}
	if err != nil {
		return err
	}
	if is, err = keyring.Protected(a.home); err != nil {
		return err
	}
	if a.p.json {
		return a.p.object(map[string]bool{"passphrase": is.Passphrase, "system_keyring": is.System, "protected": is.Any()})
	}
	switch {
	case is.Passphrase && is.System:
		return a.p.line("The passphrase is set. The system's keyring remembers it for you until you run: earshot lock")
	case is.Passphrase:
		return a.p.line("The passphrase is set. From the next start on, Earshot asks for it. If you forget it, nobody can help.")
	case is.System:
		return a.p.line("The home has no passphrase now; the system's keyring opens it.")
	}
	return a.p.line("The home has no passphrase now: who can read %s can read your keys and history.", cell(a.home))
}

// protection returns what protects the home, after making or encrypting one that is
// not there yet or in plain text.
func (a *app) protection(ctx context.Context) (keyring.Protection, error) {
	is, err := keyring.Protected(a.home)
	if err != nil || is.Any() {
		return is, err
	}
	if err := a.with(ctx, need{}, func(*session) error { return nil }); err != nil {
		return is, err
	}
	return keyring.Protected(a.home)
}

func runLock(ctx context.Context, a *app, _ []string) error {
	if err := keyring.Forget(ctx, a.home, a.keys); err != nil {
		return err
	}
	err := stopNode(ctx, a.home)
	switch code := chat.CodeOf(err); {
	case code == chat.CodeDenied:
		return chat.Wrap(code, err, "The next start asks for the passphrase, but the node that runs now belongs to another command, and keeps the home open.", "End that one.")
	case err != nil && code != chat.CodeUnreachable: // nobody runs it
		return err
	}
	if a.p.json {
		return a.p.object(map[string]bool{"locked": true})
	}
	return a.p.line("The home is locked: the next start asks for the passphrase.")
}
