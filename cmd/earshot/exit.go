package main

import (
	"fmt"
	"slices"
	"strings"

	"earshot/chat"
)

// Exit codes are an interface that scripts rely on.
const (
	exitOK          = 0
	exitFailure     = 1
	exitUsage       = 2
	exitUnreachable = 3
	exitNotFound    = 4
	exitRefused     = 5
	exitHome        = 6
	exitPassphrase  = 7
	exitAmbiguous   = 8
	exitHeld        = 9
	exitNotYet      = 10
	exitAway        = 20 // this and the next three: how somebody is, of presence
	exitOccupied    = 21
	exitGone        = 22
	exitUntold      = 23
	exitInterrupted = 130
)

// exits says what each exit code means and which errors end with it; those that no
// row names end with exitFailure.
var exits = []struct {
	code    int
	meaning string
	codes   []chat.Code
}{
	{exitOK, "it worked", nil},
	{exitFailure, "it failed for another reason, or was asked about and not wanted", []chat.Code{chat.CodeInternal, chat.CodeInvalid, chat.CodeClock, chat.CodeInvisible, chat.CodeCloned, chat.CodeRolledBack}},
	{exitUsage, "the command line is wrong", []chat.Code{chat.CodeUsage, chat.CodeBadID, chat.CodeEmpty}},
	{exitUnreachable, "the node can't be reached or started", []chat.Code{chat.CodeUnreachable, chat.CodeNoNetwork, chat.CodeNoInterface, chat.CodePortTaken, chat.CodeStopping}},
	{exitNotFound, "there is no such room, person or message", []chat.Code{chat.CodeNotFound, chat.CodeNotJoined}},
	{exitRefused, "refused by a limit or a permission", []chat.Code{chat.CodeTooLong, chat.CodeDenied, chat.CodeBusy, chat.CodeNotContact, chat.CodeRevoked}},
	{exitHome, "the home or a backup is locked, damaged or newer, or the disk is full", []chat.Code{chat.CodeHomeLocked, chat.CodeHomeBroken, chat.CodeHomeNewer, chat.CodeBackup, chat.CodeDiskFull}},
	{exitPassphrase, "the passphrase is wrong, or nobody can be asked for it", []chat.Code{chat.CodePassphrase}},
	{exitAmbiguous, "a name fits several; the error lists them with their ids", []chat.Code{chat.CodeAmbiguous}},
	{exitHeld, "nothing is sent: a key must be checked, or is not known yet", []chat.Code{chat.CodeHeld, chat.CodeNoKey, chat.CodeDeviceLists}},
	{exitNotYet, "what was waited for has not happened in time; it may yet", []chat.Code{chat.CodeNotYet}},
	{exitAway, "presence: they are away", nil},
	{exitOccupied, "presence: they are busy, in a meeting or not to be disturbed", nil},
	{exitGone, "presence: they are gone", nil},
	{exitUntold, "presence: they are here, and do not show you whether they are free", nil},
	{exitInterrupted, "it was interrupted, by Ctrl+C for example", nil},
}

// exitCode returns the exit code that tells a script about a failure.
func exitCode(c chat.Code) int {
	for _, e := range exits {
		if slices.Contains(e.codes, c) {
			return e.code
		}
	}
	return exitFailure
}

// exitHelp is what `earshot help exit-codes` prints.
func exitHelp() string {
	var sb strings.Builder
	sb.WriteString("Every command ends with one of these exit codes. An error is a sentence on\nstandard error, or with --json an object {\"error\":{\"code\",\"text\",\"hint\"}} whose\ncode stands here in brackets.\n\n")
	for _, e := range exits {
		var codes []string
		for _, c := range e.codes {
			codes = append(codes, string(c))
		}
		fmt.Fprintf(&sb, "  %3d  %s", e.code, e.meaning)
		if len(codes) > 0 {
			fmt.Fprintf(&sb, "\n       [%s]", strings.Join(codes, ", "))
		}
		sb.WriteByte('\n')
	}
	return sb.String()
}
