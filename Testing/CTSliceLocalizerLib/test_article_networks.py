"""The article's networks and how their slices are read and varied."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

from CTSliceLocalizerLib import article_networks, article_pictures, augmentation, partition  # noqa: E402
from CTVolumeLib.errors import CTError  # noqa: E402
from support_training import article_store, compact_store  # noqa: E402


class TestNetworks:
    @pytest.fixture
    def offline(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fetch(*_: object, **__: object) -> str:
            raise Exception("URL fetch failure")

        monkeypatch.setattr("keras.src.utils.file_utils.get_file", fetch)

    def test_the_head_is_the_articles(self) -> None:
        model, began = article_networks.build("vgg19", 32, article_networks.RANDOM)
        kinds = [type(layer).__name__ for layer in model.layers][4:]
        assert kinds == ["Flatten", *["BatchNormalization", "Dropout", "Dense"] * 2]
        assert [layer.rate for layer in model.layers if "dropout" in layer.name] == [0.5, 0.5]
        assert [layer.units for layer in model.layers[-4::3]] == [128, 1]
        assert model.layers[-1].activation is keras.activations.sigmoid
        assert began == "random"

    def test_without_imagenet_it_says_so_and_trains_all(self, offline: None, caplog: pytest.LogCaptureFixture) -> None:
        model, began = article_networks.build("vgg19", 32)
        assert began == "random"
        assert "can't be had" in caplog.text
        assert "--weights" in caplog.text
        assert len(model.trainable_weights) == 32 + 8

    def test_with_weights_the_back_end_is_frozen(self, tmp_path: Path) -> None:
        known = keras.applications.VGG19(weights=None, include_top=False, input_shape=(32, 32, 3))
        known.save_weights(tmp_path / "vgg.weights.h5")
        model, began = article_networks.build("vgg19", 32, str(tmp_path / "vgg.weights.h5"))
        assert began == "file"
        assert len(model.trainable_weights) == 8
        (base,) = (layer for layer in model.layers if isinstance(layer, keras.Model))
        np.testing.assert_array_equal(base.get_weights()[0], known.get_weights()[0])

    def test_weights_that_do_not_fit_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "x.weights.h5").write_bytes(b"nothing")
        with pytest.raises(CTError, match="weights for vgg19 can't be read"):
            article_networks.build("vgg19", 32, str(tmp_path / "x.weights.h5"))

    @pytest.mark.parametrize(("name", "smallest"), [("inceptionv3", 75), ("xception", 71), ("vgg19", 32)])
    def test_too_small_slices_are_refused(self, name: str, smallest: int) -> None:
        with pytest.raises(CTError, match=f"at least {smallest} pixels"):
            article_networks.build(name, smallest - 1, article_networks.RANDOM)

    @pytest.mark.parametrize(
        ("name", "module"),
        [("inceptionv3", "inception_v3"), ("xception", "xception"), ("resnet50", "resnet50"), ("vgg19", "vgg19")],
    )
    def test_gray_becomes_what_the_back_end_was_trained_on(self, name: str, module: str) -> None:
        """Against Keras' own preparation of a picture with three equal channels."""
        back_end = article_networks.BACK_ENDS[name]
        gray = np.random.default_rng(0).integers(0, 256, (1, 4, 4, 1)).astype(np.float32)
        ours = np.repeat(gray, 3, axis=3) * back_end.scale + np.array(back_end.offset)
        theirs = getattr(keras.applications, module).preprocess_input(np.repeat(gray, 3, axis=3))
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


class TestAugmentation:
    @pytest.mark.parametrize(
        ("angle", "shear", "shift", "zoom"),
        [(0.2, 0.0, (0, 0), (1, 1)), (0, 0, (5, -3), (1, 1)), (0, 0.3, (0, 0), (1, 1)), (0, 0, (0, 0), (0.9, 1.1)),
         (-0.15, 0.1, (2, 4), (1.1, 0.9))],
    )  # fmt: skip
    def test_moves_pixels_as_imagedatagenerator_did(
        self, angle: float, shear: float, shift: tuple, zoom: tuple
    ) -> None:
        """Against scipy's affine map, by which Keras did it, with its matrices (x to the right, y down)."""
        picture = np.random.default_rng(1).random((24, 24), np.float32)
        c, s = np.cos(angle), np.sin(angle)
        matrix = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
        matrix @= np.array([[1, 0, shift[0]], [0, 1, shift[1]], [0, 0, 1.0]])
        matrix @= np.array([[1, -np.sin(shear), 0], [0, np.cos(shear), 0], [0, 0, 1.0]])
        matrix @= np.diag([zoom[0], zoom[1], 1.0])
        middle = np.array([[1, 0, 11.5], [0, 1, 11.5], [0, 0, 1.0]])
        swap = np.eye(3)[[1, 0, 2]]
        whole = swap @ middle @ matrix @ np.linalg.inv(middle) @ swap
        expected = ndimage.affine_transform(picture, whole[:2, :2], whole[:2, 2], order=1, mode="nearest")
        coefficients = augmentation.article_matrices(
            tf.constant([angle], tf.float32), tf.constant([shear], tf.float32), tf.constant([shift], tf.float32),
            tf.constant([zoom], tf.float32), tf.constant(24.0),
        )  # fmt: skip
        got = tf.raw_ops.ImageProjectiveTransformV3(
            images=picture[None, ..., None], transforms=coefficients, output_shape=[24, 24], fill_value=0.0,
            interpolation="BILINEAR", fill_mode="NEAREST",
        )  # fmt: skip
        np.testing.assert_allclose(got[0, ..., 0], expected, atol=2e-3)

    def test_the_seed_decides(self) -> None:
        pictures = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 1)).astype(np.uint8)
        one, same, other = (
            augmentation.article(pictures, tf.constant(seed)).numpy() for seed in ([1, 2], [1, 2], [1, 3])
        )
        np.testing.assert_array_equal(one, same)
        assert not np.array_equal(one, other)
        assert one.min() >= 0
        assert one.max() <= 255

    def test_goes_as_far_as_it_says(self) -> None:
        """A dot in the middle: how far it moves, and which side of a picture ends on which."""
        dots = np.zeros((400, 41, 41, 1), np.float32)
        dots[:, 18:23, 18:23] = 255
        dots[:, 18:23, 0:6] = 100
        moved = augmentation.article(dots, tf.constant([0, 0])).numpy()[..., 0]
        places = np.array([ndimage.center_of_mass(picture > 180) for picture in moved if (picture > 180).any()]) - 20
        assert len(places) > 380
        assert 4 < np.abs(places).max() < 0.15 * 41 * 1.15 * (1 + 0.3) + 1
        left = sum(picture[:, :8].sum() > picture[:, -8:].sum() for picture in moved)
        assert 140 < left < 260

    def test_none_and_article_are_there_for_sequences(self) -> None:
        assert augmentation.STRENGTHS["none"] is None
        rng = np.random.default_rng(0)
        hu = np.full((4, 96, 96), -1000, np.int16)
        hu[:, 30:60, 30:60] = 40
        changed, flips = augmentation.slices(hu, 1.0, rng, augmentation.STRENGTHS["article"])
        assert flips[1] == 0
        assert np.abs(changed).max() <= 1024
        assert changed.max() == pytest.approx(40, abs=1)


class TestPictures:
    def test_come_as_they_are_and_in_order_for_validation(self, tmp_path: Path) -> None:
        divided = partition.read(article_store(tmp_path / "slices", 40))
        found = article_pictures.find(tmp_path / "slices", divided, "train")
        assert (len(found.files), found.series, found.patients, found.size) == (8, ("1.2.3.0", "1.2.3.1"), 2, 40)
        gray, location = (np.concatenate(part) for part in zip(*article_pictures.pipeline(found, batch=3, seed=0)))
        expected = [np.load(file) for file in found.files]
        np.testing.assert_array_equal(gray[..., 0], [one["pixels"] for one in expected])
        np.testing.assert_allclose(location[:, 0], [one["norm_loc"] for one in expected])

    def test_each_epoch_has_all_in_another_order(self, tmp_path: Path) -> None:
        divided = partition.read(article_store(tmp_path / "slices", 40))
        found = article_pictures.find(tmp_path / "slices", divided, "train")
        made = list(article_pictures.pipeline(found, batch=3, seed=0, epochs=(0, 2), mixed=True))
        first, second = (np.concatenate([one[0] for one in made[part]]) for part in (slice(3), slice(3, 6)))
        assert not np.array_equal(first, second)
        np.testing.assert_array_equal(np.sort(first.sum(axis=(1, 2, 3))), np.sort(second.sum(axis=(1, 2, 3))))
        later = list(article_pictures.pipeline(found, batch=3, seed=0, epochs=(1, 2), mixed=True))
        np.testing.assert_array_equal(np.concatenate([one[0] for one in later]), second)

    def test_three_channels_are_read_too(self, tmp_path: Path) -> None:
        divided = partition.read(article_store(tmp_path / "slices", 40, channels=3))
        found = article_pictures.find(tmp_path / "slices", divided, "validation")
        assert article_pictures.read(found.files)[0].shape == (4, 40, 40, 1)

    def test_what_does_not_fit_is_said(self, tmp_path: Path) -> None:
        divided = partition.read(article_store(tmp_path / "slices", 40))
        with pytest.raises(CTError, match="no slices of the part test"):
            article_pictures.find(tmp_path / "slices", divided, "test")
        found = article_pictures.find(tmp_path / "slices", divided, "train")
        with pytest.raises(CTError, match=r"1\.npz is \(40, 40\) pixels, not \(50, 50\)"):
            article_pictures.read(found.files, 50)
        found.files[1].write_bytes(b"PK")
        with pytest.raises(CTError, match=r"2\.npz can't be read"):
            article_pictures.read(found.files)
        divided = partition.read(compact_store(tmp_path / "compact"))
        with pytest.raises(CTError, match="compact format"):
            article_pictures.find(tmp_path / "compact", divided, "train")
