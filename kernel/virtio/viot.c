// SPDX-License-Identifier: GPL-2.0-only
/*
 * ACPI's VIOT table, for kernels that do not read it: which devices are behind
 * which virtio-iommu, and their endpoint IDs.
 *
 * The table is firmware's: nothing in it is believed, least of all lengths.
 */
#include <linux/acpi.h>
#include <linux/pci.h>
#include <linux/platform_device.h>

#include "private.h"

/* The node at @offset if it is within the table and has @size bytes. */
static const void *viot_node(const struct acpi_table_viot *table, u32 offset,
			     size_t size)
{
	const struct acpi_viot_header *node = (const void *)table + offset;
	u32 end = table->header.length;

	if (offset < sizeof(*table) || offset > end ||
	    end - offset < sizeof(*node))
		return NULL;
	if (node->length < size || node->length > end - offset)
		return NULL;
	return node;
}

static bool viot_is_pci(const struct device *dev, u16 segment, u16 bdf)
{
	const struct pci_dev *pdev;

	if (!dev_is_pci(dev))
		return false;
	pdev = to_pci_dev(dev);
	return pci_domain_nr(pdev->bus) == segment &&
	       PCI_DEVID(pdev->bus->number, pdev->devfn) == bdf;
}

static bool viot_is_mmio(struct device *dev, u64 base)
{
	struct resource *memory;

	if (!dev || dev->bus != &platform_bus_type)
		return false;
	memory = platform_get_resource(to_platform_device(dev), IORESOURCE_MEM,
				       0);
	return memory && memory->start == base;
}

/* The IOMMU that a node describes; NULL: there is no driver for it (yet). */
static struct viommu *viot_viommu(const struct acpi_table_viot *table,
				  u32 offset)
{
	const struct acpi_viot_virtio_iommu_pci *pci = NULL;
	const struct acpi_viot_virtio_iommu_mmio *mmio = NULL;
	const struct acpi_viot_header *node;
	struct viommu *viommu;
	struct device *dev;

	node = viot_node(table, offset, sizeof(*node));
	if (node && node->type == ACPI_VIOT_NODE_VIRTIO_IOMMU_PCI)
		pci = viot_node(table, offset, sizeof(*pci));
	else if (node && node->type == ACPI_VIOT_NODE_VIRTIO_IOMMU_MMIO)
		mmio = viot_node(table, offset, sizeof(*mmio));
	list_for_each_entry(viommu, &viommus, item) {
		dev = viommu->vdev->dev.parent;
		if (pci && viot_is_pci(dev, pci->segment, pci->bdf))
			return viommu;
		if (mmio && viot_is_mmio(dev, mmio->base_address))
			return viommu;
	}
	return NULL;
}

static int viot_add(const struct acpi_table_viot *table, u32 output, u32 id,
		    struct viommu_ids *ids)
{
	struct viommu *viommu = viot_viommu(table, output);

	return viommu ? viommu_ids_add(ids, viommu, id) : 0;
}

/* What identifies DMA of a device. */
struct viot_source {
	bool pci;
	u16 segment, bdf;
	u64 base;
};

static int viot_match(const struct acpi_table_viot *table, u32 offset,
		      const struct viot_source *source, struct viommu_ids *ids)
{
	const struct acpi_viot_header *node = viot_node(table, offset,
							sizeof(*node));
	const struct acpi_viot_pci_range *range;
	const struct acpi_viot_mmio *mmio;

	if (source->pci && node->type == ACPI_VIOT_NODE_PCI_RANGE) {
		range = viot_node(table, offset, sizeof(*range));
		if (range && source->segment >= range->segment_start &&
		    source->segment <= range->segment_end &&
		    source->bdf >= range->bdf_start &&
		    source->bdf <= range->bdf_end)
			return viot_add(table, range->output_node,
					range->endpoint_start +
					((source->segment -
					  range->segment_start) << 16) +
					source->bdf - range->bdf_start, ids);
	} else if (!source->pci && node->type == ACPI_VIOT_NODE_MMIO) {
		mmio = viot_node(table, offset, sizeof(*mmio));
		if (mmio && mmio->base_address == source->base)
			return viot_add(table, mmio->output_node,
					mmio->endpoint, ids);
	}
	return 0;
}

static int viot_find(const struct acpi_table_viot *table,
		     const struct viot_source *source, struct viommu_ids *ids)
{
	const struct acpi_viot_header *node;
	u32 offset, i;
	int rc = 0;

	if (table->header.length < sizeof(*table))
		return -EINVAL;
	offset = table->node_offset;
	for (i = 0; i < table->node_count && !rc; i++) {
		node = viot_node(table, offset, sizeof(*node));
		if (!node) {
			pr_err_once("granule-virtio-iommu: ACPI table VIOT: node %u at %u does not lie in its %u bytes: ignored, and so are those after it\n",
				    i, offset, table->header.length);
			break;
		}
		rc = viot_match(table, offset, source, ids);
		offset += node->length;
	}
	return rc;
}

struct viot_search {
	const struct acpi_table_viot *table;
	struct viommu_ids *ids;
};

static int viot_find_id(struct pci_dev *pdev, u16 id, void *data)
{
	struct viot_search *search = data;
	struct viot_source source = {
		.pci = true,
		.segment = pci_domain_nr(pdev->bus),
		.bdf = id,
	};

	return viot_find(search->table, &source, search->ids);
}

static int viot_find_platform(const struct acpi_table_viot *table,
			      struct platform_device *pdev,
			      struct viommu_ids *ids)
{
	struct resource *memory = platform_get_resource(pdev, IORESOURCE_MEM,
							0);
	struct viot_source source = {};

	if (!memory)
		return 0;
	source.base = memory->start;
	return viot_find(table, &source, ids);
}

/**
 * viommu_viot_find - what VIOT says of a device
 * @dev: any device
 * @ids: gets its IOMMU and its endpoint IDs, and those of the bridges above
 * that speak for it; unchanged if the table does not have it
 * Return: 0, -ENOMEM; -EXDEV, it has several IOMMUs; -EINVAL, bad table.
 */
int viommu_viot_find(struct device *dev, struct viommu_ids *ids)
{
	struct acpi_table_header *header;
	const struct acpi_table_viot *table;
	struct viot_search search = { .ids = ids };
	int rc = 0;

	lockdep_assert_held(&viommu_lock);
	if (acpi_disabled ||
	    ACPI_FAILURE(acpi_get_table(ACPI_SIG_VIOT, 0, &header)))
		return 0;
	table = (const void *)header;
	search.table = table;
	if (dev_is_pci(dev))
		rc = viommu_each_alias(to_pci_dev(dev), viot_find_id, &search);
	else if (dev->bus == &platform_bus_type)
		rc = viot_find_platform(table, to_platform_device(dev), ids);
	acpi_put_table(header);
	return rc;
}
