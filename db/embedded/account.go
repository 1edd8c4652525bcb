package embedded

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// account is who runs Postgres: this program's own account, or, as Postgres refuses to run as root,
// an unprivileged one that a program started as root switches to.
type account struct {
	name     string
	uid, gid int
	change   bool // this program is root and must switch
}

// chooseAccount picks the account. Data that exists already is run by its owner, so that nothing
// needs to change hands.
func chooseAccount(name, dataDir string) (*account, error) {
	if os.Geteuid() != 0 {
		return &account{uid: os.Getuid(), gid: os.Getgid()}, nil
	}
	if info, err := os.Stat(dataDir); err == nil && name == "" {
		if owner, ok := info.Sys().(*syscall.Stat_t); ok && owner.Uid != 0 {
			return accountOf(user.LookupId(strconv.Itoa(int(owner.Uid))))
		}
	}
	if name != "" {
		return accountOf(user.Lookup(name))
	}
	for _, name := range append([]string{"postgres", "nobody"}, otherAccounts()...) {
		if as, err := accountOf(user.Lookup(name)); err == nil {
			return as, nil
		}
	}
	return nil, fmt.Errorf("PostgreSQL refuses to run as root, and there is no other account to run it as: create one (useradd --system postgres) or start the program as an unprivileged user")
}

func accountOf(u *user.User, err error) (*account, error) {
	if err != nil {
		return nil, fmt.Errorf("the account that is to run PostgreSQL: %w", err)
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil || uid <= 0 {
		return nil, fmt.Errorf("PostgreSQL cannot run as %s (uid %s)", u.Username, u.Uid)
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL cannot run as %s (gid %s)", u.Username, u.Gid)
	}
	return &account{name: u.Username, uid: uid, gid: gid, change: true}, nil
}

// otherAccounts lists /etc/passwd, for small images that know neither postgres nor nobody.
func otherAccounts() []string {
	text, err := os.ReadFile("/etc/passwd")
	if err != nil {
		return nil
	}
	var names []string
	for line := range strings.Lines(string(text)) {
		if name, _, ok := strings.Cut(line, ":"); ok && name != "root" && !strings.HasPrefix(name, "#") {
			names = append(names, name)
		}
	}
	return names
}

// credential is what a child process is started with; nil keeps this program's own.
func (a *account) credential() *syscall.Credential {
	if !a.change {
		return nil
	}
	return &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
}

// command prepares a program to run as the account, away from any terminal and with none of this
// program's secrets in its environment.
func (a *account) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = "/"
	cmd.Env = []string{"LC_ALL=C", "TZ=UTC", "PATH=" + filepath.Dir(program) + ":/usr/bin:/bin:/usr/sbin:/sbin"}
	if libraries := os.Getenv("LD_LIBRARY_PATH"); libraries != "" {
		cmd.Env = append(cmd.Env, "LD_LIBRARY_PATH="+libraries)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: a.credential()}
	return cmd
}

// reaches tells whether the account may enter dir, that is, pass through each of its parents.
func (a *account) reaches(ctx context.Context, dir string) bool {
	if !a.change {
		return true
	}
	return a.command(ctx, "/bin/sh", "-c", `cd -- "$1"`, "sh", dir).Run() == nil
}

// own hands a file or directory to the account.
func (a *account) own(path string) error {
	if !a.change {
		return nil
	}
	return os.Lchown(path, a.uid, a.gid)
}

func (a *account) suffix() string {
	if !a.change {
		return ""
	}
	return " as user " + a.name
}
