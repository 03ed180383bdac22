export * from './props';
export { SecretRotationFunction } from './rotation';
export { RotatedSecret } from './secret';
