package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"time"
)

// bareTCP brings as many bytes from memory to memory over one connection.
func bareTCP(size int64) func(context.Context, string) (outcome, error) {
	return func(context.Context, string) (o outcome, err error) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return o, err
		}
		defer l.Close()
		start := time.Now()
		sent := make(chan error, 1)
		go func() {
			c, err := net.Dial("tcp", l.Addr().String())
			if err == nil {
				b := make([]byte, 1<<20)
				for at := int64(0); at < size && err == nil; at += int64(len(b)) {
					_, err = c.Write(b[:min(int64(len(b)), size-at)])
				}
				err = errors.Join(err, c.Close())
			}
			sent <- err
		}()
		c, err := l.Accept()
		if err != nil {
			return o, err
		}
		defer c.Close()
		n, b := int64(0), make([]byte, 1<<20)
		for err == nil {
			var got int
			got, err = c.Read(b)
			n += int64(got)
		}
		o.took = time.Since(start)
		if err == io.EOF {
			err = nil
		}
		if n != size && err == nil {
			err = fmt.Errorf("%d bytes of %d came", n, size)
		}
		return o, errors.Join(err, <-sent)
	}
}

// hashOf computes the SHA-256 of the file: no proof by it is faster.
func hashOf(source string, want [32]byte) func(context.Context, string) (outcome, error) {
	return func(context.Context, string) (o outcome, err error) {
		start := time.Now()
		sum, err := sumOf(source)
		if err == nil && sum != want {
			err = errors.New("the source has changed")
		}
		o.took = time.Since(start)
		return o, err
	}
}

// freePort returns a port of this PC that was free just now.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

// missingOf names the Debian package of the first program that is not here.
func missingOf(programs ...[2]string) string {
	for _, p := range programs {
		if _, err := exec.LookPath(p[0]); err != nil {
			return p[0] + " is not here; apt install " + p[1]
		}
	}
	return ""
}

// served runs a server while a client of it runs, and measures the client.
func served(ctx context.Context, port string, server, client []string) (o outcome, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	s := exec.CommandContext(ctx, server[0], server[1:]...)
	said := &strings.Builder{}
	s.Stderr = said
	if err := s.Start(); err != nil {
		return o, err
	}
	defer s.Wait()
	defer stop()
	for late := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
			c.Close()
			break
		}
		if time.Now().After(late) {
			stop()
			s.Wait()
			lines := strings.Split(strings.TrimSpace(said.String()), "\n")
			return o, fmt.Errorf("%s does not listen: %s", filepath.Base(server[0]), lines[len(lines)-1])
		}
	}
	start := time.Now()
	out, err := exec.CommandContext(ctx, client[0], client[1:]...).CombinedOutput()
	o.took = time.Since(start)
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", client[0], err, strings.TrimSpace(string(out)))
	}
	return o, err
}

// rsyncDaemon pushes whole files to a daemon.
func rsyncDaemon(dir, source string) *row {
	r := &row{name: "rsync daemon, -W, new file", foreign: true, missing: missingOf([2]string{"rsync", "rsync"})}
	r.bring = func(ctx context.Context, to string) (o outcome, err error) {
		port, err := freePort()
		if err != nil {
			return o, err
		}
		config := filepath.Join(dir, "rsyncd.conf")
		text := fmt.Sprintf("use chroot = no\nport = %s\naddress = 127.0.0.1\nlog file = %s\n[there]\npath = %s\nread only = no\nuid = %d\ngid = %d\n",
			port, filepath.Join(dir, "rsyncd.log"), to, os.Getuid(), os.Getgid())
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			return o, err
		}
		return served(ctx, port, []string{"rsync", "--daemon", "--no-detach", "--config", config},
			[]string{"rsync", "-W", source, "rsync://127.0.0.1:" + port + "/there/"})
	}
	return r
}

// sshdDir is where Debian's sshd wants to be shut in before it is somebody's. The
// service makes it, so it is missing where that has not run.
const sshdDir = "/run/sshd"

// makeSSHDDir makes that directory where there is none, and returns what removes it then.
func makeSSHDDir() (remove func(), err error) {
	err = os.Mkdir(sshdDir, 0o755)
	switch {
	case errors.Is(err, fs.ErrExist):
		return func() {}, nil
	case err != nil:
		return nil, fmt.Errorf("sshd needs %s, which is not there and cannot be made (%w); start the service ssh once, or type as root: mkdir %s", sshdDir, err, sshdDir)
	}
	return func() { os.Remove(sshdDir) }, nil
}

// scp copies the file to a server of this user with keys of its own.
func scp(dir, source string) *row {
	r := &row{name: "scp, new file", foreign: true, missing: missingOf([2]string{"scp", "openssh-client"}, [2]string{"sshd", "openssh-server"})}
	r.bring = func(ctx context.Context, to string) (o outcome, err error) {
		remove, err := makeSSHDDir()
		if err != nil {
			return o, err
		}
		defer remove()
		port, err := freePort()
		if err != nil {
			return o, err
		}
		me, err := user.Current()
		if err != nil {
			return o, err
		}
		sshd, err := exec.LookPath("sshd") // which wants to be started by its whole path
		if err != nil {
			return o, err
		}
		key := filepath.Join(dir, "key")
		if _, err := os.Stat(key); err != nil {
			if out, err := exec.CommandContext(ctx, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
				return o, fmt.Errorf("ssh-keygen: %w: %s", err, out)
			}
		}
		return served(ctx, port,
			[]string{sshd, "-D", "-e", "-f", "/dev/null", "-p", port, "-h", key, "-o", "ListenAddress=127.0.0.1", "-o", "StrictModes=no",
				"-o", "AuthorizedKeysFile=" + key + ".pub", "-o", "UsePAM=no", "-o", "PidFile=none", "-o", "PermitRootLogin=prohibit-password", "-o", "Subsystem=sftp internal-sftp"},
			[]string{"scp", "-q", "-i", key, "-P", port, "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
				source, me.Username + "@127.0.0.1:" + filepath.Join(to, "source.bin")})
	}
	return r
}
