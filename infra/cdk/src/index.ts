export * from './props';
export { SecretRotationFunction } from './rotation';
