package embedded

import "syscall"

// dieWithParent has the kernel ask the child for a fast shutdown when its parent dies.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGINT }
