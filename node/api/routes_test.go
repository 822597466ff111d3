package api

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"earshot/chat"
)

// TestRouteTable compares the table in the package comment with the routes served.
func TestRouteTable(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	var documented, served []string
	for _, m := range regexp.MustCompile(`(?m)^//\t([A-Z]+) +(/\S+) +\S`).FindAllStringSubmatch(string(doc), -1) {
		documented = append(documented, m[1]+" "+m[2])
	}
	for _, rt := range routes {
		served = append(served, rt.method+" "+rt.path)
		if (rt.serve == nil) == (rt.stream == nil) {
			t.Errorf("%s %s must have one of serve and stream", rt.method, rt.path)
		}
	}
	if !slices.Equal(documented, served) {
		t.Errorf("documented:\n%q\nserved:\n%q", documented, served)
	}
}

// Every code is somebody's fault: of the caller, or of the node.
func TestStatusOfEveryCode(t *testing.T) {
	for code, want := range map[chat.Code]int{
		chat.CodeInternal: 500, chat.CodeUsage: 400, chat.CodeBadID: 400, chat.CodeNotFound: 404, chat.CodeTooLong: 413,
		chat.CodeEmpty: 400, chat.CodeNotJoined: 409, chat.CodeHomeLocked: 503, chat.CodeHomeBroken: 500, chat.CodeHomeNewer: 500,
		chat.CodeDiskFull: 507, chat.CodeUnreachable: 503, chat.CodeDenied: 403, chat.CodeBusy: 429, chat.CodeNoNetwork: 503, chat.CodeNoInterface: 503,
		chat.CodePortTaken: 409, chat.CodeInvalid: 400, chat.CodeStopping: 503, chat.CodePassphrase: 403, chat.CodeBackup: 500,
		chat.CodeAmbiguous: 409, chat.CodeNotContact: 403, chat.CodeHeld: 409, chat.CodeNoKey: 409, chat.CodeRevoked: 403, chat.CodeDeviceLists: 409, chat.CodeNotYet: 500, "from the future": 500,
	} {
		if got := status(&chat.Error{Code: code}); got != want {
			t.Errorf("%s: %d, want %d", code, got, want)
		}
	}
	if got := status(errNoToken); got != 401 {
		t.Errorf("without a token: %d, want 401", got)
	}
}
