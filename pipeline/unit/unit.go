// Package unit writes the systemd unit of a slave.
package unit

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"tsrun/sdk"
)

// Packaged is the unit of the Debian package, with the name of the node as instance.
//
//go:embed tsrun-slave@.service
var Packaged string

// Options say what the unit of a tsrun that was built from source starts.
type Options struct {
	Program string // absolute path of tsrun
	Node    string // a name that recipes take
	Master  string // HOST:PORT
	TLS     string // as of --tls
	Data    string // absolute path of a directory; "" where systemd keeps state
	User    bool   // of the user's own service manager, not the system's
}

// Name is that of the unit's file.
func (o Options) Name() string { return "tsrun-slave-" + o.Node + ".service" }

// Text is the unit: that of the package, with its own program, node and master.
func (o Options) Text() (string, error) {
	for what, path := range map[string]string{"the program": o.Program, "the directory of data": o.Data} {
		if path == "" && what == "the directory of data" {
			continue
		}
		if !filepath.IsAbs(path) || strings.ContainsAny(path, "%$\"\\'\n") || strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
			return "", &sdk.Failure{Code: "unit-path", Message: fmt.Sprintf("write a unit: %s is at %q, which a unit cannot name", what, path),
				Hint: "take an absolute path without blanks, quotes, % and $"}
		}
	}
	if o.Data != "" && !o.User {
		return "", &sdk.Failure{Code: "unit-data", Message: "write a unit: a service of the system keeps its data where systemd keeps state, in /var/lib/tsrun",
			Hint: "leave --data out, or add --user"}
	}
	state := "%S/tsrun"
	data := state + "/" + o.Node
	if o.Data != "" {
		data = o.Data
	}
	command := fmt.Sprintf("ExecStart=%s --mode slave --node %s --master %s --tls %s --data %s", o.Program, o.Node, o.Master, o.TLS, data)
	var lines []string
	for line := range strings.Lines(Packaged) {
		key, _, _ := strings.Cut(line, "=")
		switch {
		case strings.HasPrefix(line, "# TSRUN_MASTER"), key == "EnvironmentFile", o.User && systemOnly[key]:
			continue
		case key == "ExecStart":
			line = command + "\n"
		case key == "Environment":
			line = "Environment=TSRUN_KEYS=" + state + "/keys\n"
			if o.User {
				continue // those of the user
			}
		case key == "User":
			line = "DynamicUser=yes\n"
		case key == "WorkingDirectory":
			line = "WorkingDirectory=" + state + "\n"
		case key == "ProtectHome":
			line = "ProtectHome=read-only\n" // the program may be there
		case key == "WantedBy" && o.User:
			line = "WantedBy=default.target\n"
		}
		lines = append(lines, strings.ReplaceAll(line, "%i", o.Node))
	}
	return strings.Join(lines, ""), nil
}

// systemOnly are what the service manager of a user cannot give.
var systemOnly = map[string]bool{
	"User": true, "SupplementaryGroups": true, "CapabilityBoundingSet": true, "ProtectSystem": true, "ProtectHome": true, "PrivateTmp": true,
	"ProtectKernelTunables": true, "ProtectKernelModules": true, "ProtectKernelLogs": true, "ProtectControlGroups": true, "ProtectHostname": true,
	"LimitRTPRIO": true, "LimitMEMLOCK": true, "LimitNOFILE": true, "Wants": true, "After": true,
}

// Install writes the unit into dir and returns its path. One that is there with
// other words is left, unless it is to be replaced.
func (o Options) Install(dir string, replace bool) (path string, err error) {
	text, err := o.Text()
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, o.Name())
	switch old, err := os.ReadFile(path); {
	case err == nil && string(old) == text:
		return path, nil
	case err == nil && !replace:
		return "", &sdk.Failure{Code: "unit-exists", Message: fmt.Sprintf("write a unit: %s is there and says something else", path), Hint: "--force replaces it"}
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("write a unit: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("write a unit: %w", err)
	}
	part := filepath.Join(dir, "."+o.Name()+".part")
	err = os.WriteFile(part, []byte(text), 0o644)
	if err == nil {
		err = os.Rename(part, path)
	}
	if err != nil {
		return "", fmt.Errorf("write a unit: %w", errors.Join(err, os.Remove(part)))
	}
	return path, nil
}
