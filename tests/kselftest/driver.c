// SPDX-License-Identifier: GPL-2.0-only
/* What a driver's unbind and a module's unload leave of VFIO device nodes. */
#include <poll.h>

#include "vfio.h"

/*
 * The driver is unbound while the device is in use: nobody can come in any
 * more, who is in is asked to leave and can go on until it does, then the
 * driver goes.
 */
TEST_F(vfio, driver_unbinds)
{
	const char *made = "/dev/granule-test-node";
	struct pollfd p = { .events = POLLIN };
	struct stat st;
	int idle, i;
	pid_t pid;

	/* A node that udev does not take away */
	ASSERT_EQ(0, stat(self->node, &st));
	unlink(made);
	ASSERT_EQ(0, mknod(made, S_IFCHR | 0600, st.st_rdev));
	idle = open(made, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, idle) TH_LOG("%s: %s", made, strerror(errno));

	OK(edu_bind(&self->edu, self->fd));
	OK(edu_start(&self->edu));
	OK(edu_attach(&self->edu, self->ioas));
	p.fd = irq_eventfd(self->edu.dev, VFIO_PCI_REQ_IRQ_INDEX);
	ASSERT_LE(0, p.fd);

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		/* Not the files of the test: only its parent closes them */
		close(idle);
		edu_close(&self->edu);
		_exit(driver_write("unbind", self->edu.bdf) ? 1 : 0);
	}
	EQ(1, poll(&p, 1, PATIENCE), "the device was not asked for");
	EXPECT_EQ(-1, access(self->node, F_OK));
	EXPECT_EQ(-1, open(made, O_RDWR));
	EQ(ENODEV, errno, "open while unbinding: %s", strerror(errno));
	FAILS(EINVAL, bind_dev(idle, self->fd));
	EQ(0, waitpid(pid, NULL, WNOHANG), "unbind did not wait");

	/* In use as ever */
	EXPECT_EQ(EDU_ID, *(volatile uint32_t *)self->edu.bar);
	OK(edu_detach(&self->edu));
	OK(edu_attach(&self->edu, self->ioas));
	edu_close(&self->edu);
	for (i = 0; i < 20; i++) {
		usleep(10000);
		EQ(0, waitpid(pid, NULL, WNOHANG), "an open file is left");
	}
	/* Free to be bound, were the driver not going */
	FAILS(ENODEV, bind_dev(idle, self->fd));
	expect_silence(_metadata, idle);
	close(idle);
	EXPECT_EQ(0, child_wait(pid));

	EXPECT_GE(0, vfio_dev_entries(self->edu.bdf));
	EXPECT_EQ(-1, open(made, O_RDWR));
	EQ(ENODEV, errno, "open after unbind: %s", strerror(errno));
	unlink(made);
	close(p.fd);

	OK(driver_write("bind", self->edu.bdf));
	EQ(1, vfio_dev_entries(self->edu.bdf), "entries in vfio-dev/");
	OK(edu_open(&self->edu, 0));
	OK(edu_bind(&self->edu, self->fd));
}

TEST_F_TIMEOUT(vfio, driver_comes_and_goes, 150)
{
	int i;

	edu_close(&self->edu);
	for (i = 0; i < 20; i++) {
		OK(driver_write("unbind", self->edu.bdf));
		EXPECT_GE(0, vfio_dev_entries(self->edu.bdf));
		OK(driver_write("bind", self->edu.bdf));
		EQ(1, vfio_dev_entries(self->edu.bdf), "entries");
		OK(edu_open(&self->edu, 0));
		if (i & 1)
			OK(edu_bind(&self->edu, self->fd));
		edu_close(&self->edu);
	}
}

static int module_unload(void)
{
	return syscall(SYS_delete_module, "granule_vfio", O_NONBLOCK) ?
		-errno : 0;
}

/* The module cannot go while a file is open, and comes back as it was. */
TEST_F_TIMEOUT(vfio, module_unloads, 150)
{
	int i;

	FAILS(EAGAIN, module_unload());
	OK(edu_bind(&self->edu, self->fd));
	OK(edu_start(&self->edu));
	FAILS(EAGAIN, module_unload());
	/* A mapping counts as an open file */
	close(self->edu.dev);
	self->edu.dev = -1;
	FAILS(EAGAIN, module_unload());
	edu_close(&self->edu);

	for (i = 0; i < 5; i++) {
		OK(module_unload());
		EXPECT_EQ(-1, access(self->node, F_OK));
		/* The driver is there all the same */
		EQ(1, vfio_dev_entries(self->edu.bdf), "entries");
		if (i & 1) {
			/* Bound before the module comes, and after */
			OK(driver_write("unbind", self->edu.bdf));
			OK(driver_write("bind", self->edu.bdf));
		}
		ASSERT_EQ(0, system("modprobe granule-vfio"));
		OK(edu_open(&self->edu, 0));
		OK(edu_bind(&self->edu, self->fd));
		edu_close(&self->edu);
	}
}

TEST_HARNESS_MAIN
