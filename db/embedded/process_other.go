//go:build !linux

package embedded

import "syscall"

// dieWithParent does nothing where the kernel has no such signal: the watchdog does it alone.
func dieWithParent(*syscall.SysProcAttr) {}
